/** Every sentence that the page says by itself. */

import type { EndCause } from "../client/client.ts";
import type { ParleyEvent } from "../client/events.ts";
import type { Problem, ProblemCode } from "../client/problems.ts";
import type { CallState } from "../client/states.ts";

export interface Advice {
  title: string;
  text: string;
  /** Offer to take the call without a microphone. */
  canType: boolean;
  retry: string;
  /** Nothing is broken: it only has to wait, or to be allowed. */
  isCalm: boolean;
}

export type Phase = "listening" | "hearing" | "thinking" | "speaking";

const STATE: Record<CallState, string> = {
  idle: "Ready when you are",
  asking: "Waiting for your microphone",
  connecting: "Connecting",
  live: "Connected",
  reconnecting: "Reconnecting",
  ended: "Call ended",
  failed: "No call",
};

const PHASE: Record<Phase, string> = {
  listening: "Listening",
  hearing: "Hearing you",
  thinking: "Thinking",
  speaking: "Speaking",
};

export function stateWords(state: CallState, phase: Phase): string {
  return state === "live" ? PHASE[phase] : STATE[state];
}

/** What a screen reader is told: changes of the call, not every breath of the conversation. */
export function announcement(state: CallState): string {
  return state === "idle" ? "" : state === "reconnecting" ? "Connection lost, reconnecting" : STATE[state];
}

const ENDED: Record<EndCause, string> = {
  caller: "You ended the call",
  agent: "The agent ended the call",
  drain: "The server is restarting and ended the call",
  limit: "The call reached its time limit",
  quota: "The call used up its allowance",
  idle: "The call ended because nobody spoke",
  error: "The call ended because something broke",
  unknown: "The call is over",
};

export function endWords(cause: EndCause): string {
  return ENDED[cause] ?? ENDED.unknown;
}

export const NOT_SENT = "Not sent: there is no connection right now.";
export const NO_SOUND = "No sound comes from your microphone. Is it muted, or is another one meant?";
export const MICROPHONE_CHANGED = "The microphone went away; another one has taken over.";
export const MICROPHONE_GONE = "The microphone went away. Choose another one, or go on by typing.";
export const SOUND_BLOCKED = "The browser holds the sound back.";

type Words = [title: string, text: string, options?: { canType?: boolean; retry?: string }];

const PROBLEM: Record<ProblemCode, Words> = {
  microphone_blocked: [
    "The microphone is blocked for this page",
    "Open the site settings beside the address, allow the microphone, then try again.",
    { canType: true },
  ],
  microphone_dismissed: [
    "The microphone was not allowed",
    "The browser asks once more when you try again: choose “Allow”.",
    { canType: true },
  ],
  microphone_blocked_by_system: [
    "The system keeps the microphone from this browser",
    "Allow the browser to use the microphone in the system’s privacy settings, then try again.",
    { canType: true },
  ],
  microphone_missing: [
    "No microphone found",
    "Plug one in or switch it on, then try again. You can also type.",
    { canType: true },
  ],
  microphone_in_use: [
    "The microphone is in use",
    "Another program holds it. Close that program, or choose another microphone, then try again.",
    { canType: true },
  ],
  microphone_insecure: [
    "Browsers allow the microphone only on secure pages",
    "Open this page over https, or on the server’s own machine as http://localhost. You can also type.",
    { canType: true },
  ],
  microphone_broken: [
    "The microphone could not be opened",
    "Choose another one below, or unplug it and plug it in again.",
    { canType: true },
  ],
  unreachable: [
    "The server does not answer",
    "It may be starting, or your network may be down. Check that Parley is running, then try again.",
  ],
  busy: ["All lines are busy", "Every place on this server is taken right now.", { retry: "Call again" }],
  draining: ["The server is about to restart", "It takes no new calls. Try again in a minute."],
  key_needed: ["This server asks for a key", "Try again and enter the key that its owner gave you."],
  refused: ["The server did not take the call", ""],
  server_failed: ["The server could not take the call", "Something broke on its side. Its log says what."],
  no_path: [
    "The server answered, but no sound gets through",
    "A firewall is probably in between: UDP must reach the server, or a TURN relay must be set up there.",
  ],
  lost: [
    "The connection was lost",
    "Several tries to get it back have failed. When your network is up again, call again.",
    { retry: "Call again" },
  ],
  call_failed: ["The call broke off", "", { retry: "Call again" }],
  unknown: ["Something went wrong", "Try again. If it happens again, reload the page."],
};

export function advice({ code, detail, retryAfterS }: Problem): Advice {
  const [title, text, options = {}] = PROBLEM[code];
  const when = retryAfterS > 0 ? ` Try again in ${inWords(retryAfterS)}.` : "";
  const told = code === "busy" || code === "draining" || code === "key_needed" ? "" : detail;
  return {
    title,
    text: [text + when, told].filter(Boolean).join(" "),
    canType: options.canType ?? false,
    retry: options.retry ?? "Try again",
    isCalm: ["busy", "draining", "key_needed", "microphone_dismissed"].includes(code),
  };
}

function inWords(seconds: number): string {
  if (seconds < 90) return seconds === 1 ? "a second" : `${seconds} seconds`;
  return `${Math.round(seconds / 60)} minutes`;
}

const STAGE_NAME: Record<string, string> = { stt: "speech recognition", llm: "mind", tts: "voice" };

/** The line that an event leaves in the conversation, if it leaves one. */
export function noteFor(event: ParleyEvent): { text: string; tone: "plain" | "warning" } | undefined {
  switch (event.event) {
    case "engine_replaced": {
      const kind = STAGE_NAME[event.kind] ?? event.kind;
      return { text: `The ${kind} changed from ${event.failed} to ${event.replacement}.`, tone: "plain" };
    }
    case "call_failed":
      return { text: [event.message, event.hint].filter(Boolean).join(" "), tone: "warning" };
    case "call_held":
      return { text: "On hold.", tone: "plain" };
    case "call_resumed":
      return { text: "Off hold.", tone: "plain" };
    case "call_transferred":
      return { text: `Transferred to ${event.target}.`, tone: "plain" };
    default:
      return undefined;
  }
}

/** `book_appointment` → `book appointment`: a tool's name as one would say it. */
export function toolName(name: string): string {
  return name.replace(/[_-]+/g, " ").trim();
}
