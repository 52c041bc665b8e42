/** What ffmpeg is told, for media at rest and for media that is made as time goes by. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./process.ts";

export const SEGMENT_S = 2;
const FRAMES_PER_S = 25;
const AUDIO_KBIT = 96;
/** Where ffmpeg reads which key to use; no part of the media. */
const KEY_INFO = "key.info";

/** Pictures of ffmpeg's own; both have the options that are used here. */
export type Picture = "testsrc2" | "smptebars";

/** How sound, pictures and files are laid out. */
export interface Layout {
  readonly container: "ts" | "fmp4";
  readonly renditions: 1 | 2 | 3;
  readonly separate_audio?: boolean;
  readonly byte_ranges?: boolean;
  readonly encrypted?: boolean;
}

/** Video rates leave room for the sound and the container: 1.5, 0.7 and 0.4 Mbit/s in all. */
const LADDER = [
  { name: "360p", size: "640x360", video_kbit: 1_350 },
  { name: "240p", size: "426x240", video_kbit: 560 },
  { name: "180p", size: "320x180", video_kbit: 270 },
] as const;

/** Encodes media of this length into the folder, as fast as the machine can. */
export async function encode(folder: string, spec: Layout & { readonly seconds: number }, picture: Picture) {
  const args = [
    inputs(picture),
    ["-t", String(spec.seconds)],
    streams(spec),
    ["-f", "hls", "-hls_time", String(SEGMENT_S), "-hls_playlist_type", "vod"],
    files(spec),
    spec.encrypted ? await keyArguments(folder) : [],
    ["-hls_flags", spec.byte_ranges ? "single_file" : "independent_segments"],
    ["%v.m3u8"],
  ];
  await run("ffmpeg", args.flat(), { cwd: folder });
  await rm(join(folder, KEY_INFO), { force: true });
}

/** The arguments to encode in real time and write below a folder or URL, whose playlists show this many segments. */
export function liveArguments(layout: Layout, to: string, window_segments: number): readonly string[] {
  return [
    inputs("testsrc2", ["-re"]),
    streams(layout),
    ["-f", "hls", "-hls_time", String(SEGMENT_S), "-hls_list_size", String(window_segments)],
    files(layout, `${to}/`),
    ["-hls_flags", "independent_segments+program_date_time+temp_file"],
    to.startsWith("http:") ? ["-method", "PUT", "-http_persistent", "1"] : [],
    [`${to}/%v.m3u8`],
  ].flat();
}

function inputs(picture: Picture, each: readonly string[] = []): readonly string[] {
  const video = `${picture}=size=640x360:rate=${FRAMES_PER_S}`;
  const audio = "sine=frequency=440:sample_rate=48000";
  const input = (name: string) => each.concat("-f", "lavfi", "-i", name);
  // The AAC encoder puts 1024 samples before the first one. The pictures would begin that much after the sound, and
  // players meet a hole at 0.
  const late = ["-itsoffset", String(1_024 / 48_000)];
  return ["-nostdin", "-loglevel", "error", ...input(video), ...late, ...input(audio)];
}

/** Filters, codecs and which stream goes into which rendition. */
function streams({ renditions, separate_audio }: Layout): readonly string[] {
  const ladder = LADDER.slice(0, renditions);
  const sounds = separate_audio ? 1 : renditions;
  // Without noise these pictures need a tenth of the rate. A key frame every two seconds, and nowhere else, makes
  // segments of exactly two seconds.
  const noise = `[0:v]noise=alls=20:allf=t,split=${renditions}${ladder.map((_, i) => `[n${i}]`).join("")}`;
  const scaled = ladder.map(({ size }, i) => `[n${i}]scale=${size.replace("x", ":")}[v${i}]`);
  const gop = String(FRAMES_PER_S * SEGMENT_S);
  return [
    ["-filter_complex", [noise, ...scaled].join(";")],
    ladder.flatMap((_, i) => ["-map", `[v${i}]`]),
    Array.from({ length: sounds }, () => ["-map", "1:a"]).flat(),
    ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"],
    ["-g", gop, "-keyint_min", gop, "-sc_threshold", "0"],
    ladder.flatMap(({ video_kbit: rate }, i) => [
      `-b:v:${i}`,
      `${rate}k`,
      `-maxrate:v:${i}`,
      `${rate}k`,
      `-bufsize:v:${i}`,
      `${rate * 2}k`,
    ]),
    ["-c:a", "aac", "-b:a", `${AUDIO_KBIT}k`, "-ac", "2"],
    ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact"],
    ["-var_stream_map", streamMap(ladder.map(({ name }) => name), separate_audio ?? false)],
  ].flat();
}

function streamMap(names: readonly string[], separate_audio: boolean): string {
  if (!separate_audio) return names.map((name, i) => `v:${i},a:${i},name:${name}`).join(" ");
  const videos = names.map((name, i) => `v:${i},agroup:sound,name:${name}`);
  return ["a:0,agroup:sound,default:yes,name:sound", ...videos].join(" ");
}

function files({ container, byte_ranges }: Layout, to = ""): readonly string[] {
  const extension = container === "ts" ? "ts" : byte_ranges ? "mp4" : "m4s";
  return [
    ["-hls_segment_type", container === "ts" ? "mpegts" : "fmp4"],
    container === "fmp4" && !byte_ranges ? ["-hls_fmp4_init_filename", "%v_init.mp4"] : [],
    ["-master_pl_name", "master.m3u8"],
    ["-hls_segment_filename", `${to}${byte_ranges ? "%v" : "%v_%05d"}.${extension}`],
  ].flat();
}

async function keyArguments(folder: string): Promise<readonly string[]> {
  const key = join(folder, "key.bin");
  await writeFile(key, Uint8Array.from({ length: 16 }, (_, i) => i * 11));
  await writeFile(join(folder, KEY_INFO), `key.bin\n${key}\n`);
  return ["-hls_key_info_file", KEY_INFO];
}
