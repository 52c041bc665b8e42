/** What a viewer sees of a video element: when the first picture comes, and how often it stands still. */

export class Playback {
  readonly #video: HTMLVideoElement;
  readonly #begunMs = performance.now();
  #firstFrameMs: number | null = null;
  #firstPlayed_s = 0;
  #waitingSinceMs: number | null = null;
  #seekingSinceMs: number | null = null;
  #rebuffers = 0;
  #rebuffer_ms = 0;
  readonly #seeks_ms: number[] = [];

  /** From now on. */
  constructor(video: HTMLVideoElement, onProgress: (played_s: number) => void) {
    this.#video = video;
    video.requestVideoFrameCallback((_, { mediaTime }) => this.#firstFrame(mediaTime));
    video.addEventListener("timeupdate", () => {
      // Frames are not told of where nothing is painted, as in a hidden tab.
      if (video.currentTime > 0 && !video.seeking && !video.paused) this.#firstFrame(video.currentTime);
      if (this.#firstFrameMs !== null) onProgress(this.played_s);
    });
    video.addEventListener("waiting", () => {
      // What a jump waits for is the jump's own.
      if (this.#firstFrameMs !== null && this.#seekingSinceMs === null) this.#waitingSinceMs ??= performance.now();
    });
    video.addEventListener("seeking", () => {
      if (this.#firstFrameMs === null) return;
      this.#waitingSinceMs = null;
      this.#seekingSinceMs ??= performance.now();
    });
    video.addEventListener("playing", () => {
      if (this.#seekingSinceMs !== null) this.#seeks_ms.push(performance.now() - this.#seekingSinceMs);
      this.#seekingSinceMs = null;
      if (this.#waitingSinceMs === null) return;
      this.#rebuffers += 1;
      this.#rebuffer_ms += performance.now() - this.#waitingSinceMs;
      this.#waitingSinceMs = null;
    });
    video.addEventListener("ended", () => {
      // Sound and pictures do not end at the same instant; nothing was waited for.
      this.#waitingSinceMs = null;
    });
  }

  get startup_ms(): number | null {
    return this.#firstFrameMs === null ? null : this.#firstFrameMs - this.#begunMs;
  }

  /** The page's clock starts with the navigation to it. */
  get since_navigation_ms(): number | null {
    return this.#firstFrameMs;
  }

  get played_s(): number {
    return this.#firstFrameMs === null ? 0 : this.#video.currentTime - this.#firstPlayed_s;
  }

  /** Standstills after the first frame; one that lasts is among them. */
  get rebuffers(): number {
    return this.#rebuffers + (this.#waitingSinceMs === null ? 0 : 1);
  }

  get rebuffer_ms(): number {
    return this.#rebuffer_ms + (this.#waitingSinceMs === null ? 0 : performance.now() - this.#waitingSinceMs);
  }

  /** From each jump until play went on. */
  get seeks_ms(): readonly number[] {
    return this.#seeks_ms;
  }

  #firstFrame(media_s: number): void {
    if (this.#firstFrameMs !== null) return;
    this.#firstFrameMs = performance.now();
    this.#firstPlayed_s = media_s;
  }
}
