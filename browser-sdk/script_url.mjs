/** Put into the plain script by build.mjs: its own address, which is known only while it starts. */
export const SCRIPT_URL = globalThis.document?.currentScript?.src;
