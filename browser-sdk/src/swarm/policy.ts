/** The knobs of a job, as policy and the user set them. All may change while it runs; numbers are whole. */

/** What a bulk job optimises for: never slower than HTTP alone, or as few origin bytes as the governor's line allows. */
export type Goal = "speed" | "offload";

export interface Policy {
  /** Whether chunks may come from peers. Off: HTTP only, in large ranges. */
  readonly p2p: boolean;
  /** Whether chunks are handed to peers. Off until the user agrees. */
  readonly sharing: boolean;
  readonly goal: Goal;
  /** Most bytes a second handed to peers; `null`: no cap. */
  readonly upload_bytes_s_max: number | null;
  /** Most bytes handed to peers in the life of this core; `null`: no cap. */
  readonly upload_bytes_max: number | null;
  /** Most bytes a second that are to be fetched: what the origin could give beyond it is not missed. */
  readonly download_bytes_s_max?: number | null;
  /** The governor's line at `offload`, in thousandths of the reference rate; 1000 is as fast as HTTP. */
  readonly offload_slack_permille: number;
  /** Reference rate without a sample of the origin's, in bytes a second. */
  readonly reference_bytes_s_floor: number;
}
