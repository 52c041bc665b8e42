/** How long play can go on with what the player has: from the video element, or reckoned from what was handed over. */

export class Playhead {
  readonly #video: (() => HTMLMediaElement | undefined) | undefined;
  /** Media handed over since the last jump, in seconds, and when the first of it was. */
  #handedS = 0;
  #sinceMs: number | undefined;
  #nextStartS: number | undefined;

  constructor(video: (() => HTMLMediaElement | undefined) | undefined) {
    this.#video = video;
  }

  /** Seconds until play needs the media that begins at `startS`. */
  aheadS(startS: number): number {
    const video = this.#video?.() ?? onlyVideo();
    // A video that has nothing yet plays as soon as it has something.
    if (video !== undefined && video.readyState > 0) return Math.max(startS - video.currentTime, 0) / rateOf(video);
    if (this.#nextStartS !== undefined && Math.abs(startS - this.#nextStartS) > 1) this.#sinceMs = undefined;
    if (this.#sinceMs === undefined) return 0;
    return Math.max(this.#handedS - (performance.now() - this.#sinceMs) / 1000, 0);
  }

  /** Media was handed over. */
  handed(startS: number, durationS: number): void {
    if (this.#sinceMs === undefined) {
      this.#sinceMs = performance.now();
      this.#handedS = 0;
    }
    this.#handedS += durationS;
    this.#nextStartS = startS + durationS;
  }
}

const rateOf = ({ playbackRate }: HTMLMediaElement): number => Math.max(playbackRate, 1);

function onlyVideo(): HTMLMediaElement | undefined {
  const [video, other] = document.querySelectorAll<HTMLMediaElement>("video, audio");
  return other === undefined ? video : undefined;
}
