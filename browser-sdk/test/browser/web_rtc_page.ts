/** Both ends of a data channel in one page, in which descriptions show only some time after they work, as on a busy one. */
import { WebRtcDial } from "../../src/transport/web_rtc.ts";

const LATE_MS = 300;

class LateConnection extends RTCPeerConnection {
  #isShown = false;

  override get remoteDescription(): RTCSessionDescription | null {
    return this.#isShown ? super.remoteDescription : null;
  }

  override async setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    await super.setRemoteDescription(description);
    await new Promise((resolve) => setTimeout(resolve, LATE_MS));
    this.#isShown = true;
  }
}

/** The bindings of both ends, or why there are none. */
async function connect(): Promise<unknown[]> {
  window.RTCPeerConnection = LateConnection;
  const acceptor = new WebRtcDial("acceptor", [], (data) => void dialer.heard(data));
  const dialer = new WebRtcDial("dialer", [], (data) => void acceptor.heard(data));
  const bindings = [dialer, acceptor].map(({ wire }) => wire.then((end) => end.bindings).catch(String));
  return Promise.all(bindings);
}

declare global {
  interface Window {
    connect: typeof connect;
  }
}
window.connect = connect;
