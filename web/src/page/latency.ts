/** Where the time of a reply went, for the small figure beside it. */

import type { Stages } from "../client/events.ts";

export interface Slice {
  name: "silence" | "endpointing" | "llm" | "tts" | "transport";
  label: string;
  ms: number;
}

/** `640` → `0.64 s`; from ten seconds on without decimals. */
export function seconds(ms: number): string {
  const s = ms / 1000;
  return `${s < 10 ? s.toFixed(2) : Math.round(s)} s`;
}

/** `92` → `1:32`. */
export function clock(totalS: number): string {
  const s = Math.max(0, Math.floor(totalS));
  const minutes = Math.floor(s / 60);
  const padded = String(s % 60).padStart(2, "0");
  if (minutes < 60) return `${minutes}:${padded}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${padded}`;
}

/** The stages that follow one another, from the caller's last sound to the agent's first. */
export function slicesOf(stages: Stages): Slice[] {
  const waiting = stages.endpointing_ms ?? 0;
  const silence = Math.min(stages.silence_ms ?? 0, waiting);
  const slices: Slice[] = [
    { name: "silence", label: "Making sure you had finished", ms: silence },
    { name: "endpointing", label: "Deciding that you had", ms: waiting - silence },
    { name: "llm", label: "Thinking of the reply", ms: stages.llm_ms ?? 0 },
    { name: "tts", label: "Finding the voice", ms: stages.tts_ms ?? 0 },
    { name: "transport", label: "On the way", ms: stages.transport_ms ?? 0 },
  ];
  return slices.filter((slice) => slice.ms >= 1);
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (!sorted.length) return 0;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
