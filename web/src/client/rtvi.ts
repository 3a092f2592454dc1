/** RTVI messages, the protocol that Pipecat's own clients speak over the data channel. */

import type { ParleyEvent } from "./events.ts";

export const PROTOCOL_VERSION = "2.2.0";
const LABEL = "rtvi-ai";

export interface RtviMessage {
  label: typeof LABEL;
  type: string;
  id?: string;
  data?: unknown;
}

let sent = 0;

function message(type: string, data?: unknown): RtviMessage {
  sent += 1;
  const id = `${Date.now().toString(36)}-${sent}`;
  return data === undefined ? { label: LABEL, type, id } : { label: LABEL, type, id, data };
}

export function clientReady(platform: string): RtviMessage {
  const about = { library: "parley-web", library_version: "0.1.0", platform };
  return message("client-ready", { version: PROTOCOL_VERSION, about });
}

export function sendText(content: string): RtviMessage {
  return message("send-text", { content, options: { run_immediately: true, audio_response: true } });
}

export function setVoice(voice: string): RtviMessage {
  return message("client-message", { t: "set_voice", d: { voice } });
}

/** Both ways of hanging up: RTVI's, and our own for a session that runs without RTVI. */
export function goodbye(): object[] {
  return [message("disconnect-bot"), { type: "goodbye" }];
}

/** Reads one text from the data channel; undefined when it is not an RTVI message. */
export function parse(text: string): RtviMessage | undefined {
  const found = object(text);
  return found["label"] === LABEL && typeof found["type"] === "string"
    ? (found as unknown as RtviMessage)
    : undefined;
}

/** Whether the far side says, in Pipecat's way, that it has left. */
export function isPeerLeft(text: string): boolean {
  const { type, message } = object(text);
  return type === "signalling" && (message as { type?: string } | undefined)?.type === "peerLeft";
}

function object(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** The Parley event that a message carries, if it carries one. */
export function eventIn(message: RtviMessage): ParleyEvent | undefined {
  if (message.type !== "server-message") return undefined;
  const event = (message.data as { parley?: Partial<ParleyEvent> } | undefined)?.parley;
  return typeof event?.event === "string" ? (event as ParleyEvent) : undefined;
}
