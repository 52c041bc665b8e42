/** What the user is told before agreeing, in plain words. */
import type { PromptCaps } from "./caps.ts";

/** A text in one language. */
export interface PromptText {
  readonly language: string;
  readonly title: string;
  /** What is uploaded; what others see; how much; how it is stopped; what a refusal costs. */
  points(caps: PromptCaps): readonly string[];
  /** Of the buttons: more, not now, no, yes. */
  readonly labels: readonly [string, string, string, string];
}

const ENGLISH: PromptText = {
  language: "en",
  title: "Share with other viewers?",
  points: ({ capMbit, capGb }) => [
    "Parts of what you watch or download here are uploaded from your device to other viewers.",
    "Other viewers can see your IP address.",
    `Uploads stay below ${capMbit} Mbit/s${capGb ? `, ${capGb} GB in all` : ""}.`,
    "You can stop at any time: close this page, or clear this site's data to withdraw.",
    "Playback and downloads work without it.",
  ],
  labels: ["More", "Not now", "Deny", "Allow"],
};

const KOREAN: PromptText = {
  language: "ko",
  title: "다른 시청자와 나눌까요?",
  points: ({ capMbit, capGb }) => [
    "여기서 보거나 내려받는 내용의 일부가 이 기기에서 다른 시청자에게 업로드됩니다.",
    "다른 시청자가 내 IP 주소를 볼 수 있습니다.",
    `업로드는 최대 ${capMbit} Mbit/s${capGb ? `, 모두 ${capGb} GB` : ""}입니다.`,
    "언제든지 멈출 수 있습니다. 이 페이지를 닫거나, 이 사이트의 데이터를 지워 동의를 철회하면 됩니다.",
    "허용하지 않아도 재생과 다운로드는 그대로 됩니다.",
  ],
  labels: ["자세히", "나중에", "거부", "허용"],
};

/** The text for a language tag (BCP 47): Korean, or else English. */
export function textFor(language: string): PromptText {
  return /^ko\b/i.test(language) ? KOREAN : ENGLISH;
}
