/** Program and version, for people on the other side. */
export const AGENT = "freshet-js/0.1.0";
