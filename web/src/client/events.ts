/** Parley's own events, as they come over the data channel. Names and fields are the server's. */

export interface Stages {
  endpointing_ms?: number;
  /** The deliberate waiting within `endpointing_ms`. */
  silence_ms?: number;
  stt_ms?: number;
  llm_ms?: number;
  tts_ms?: number;
  transport_ms?: number;
  /** From the caller's last sound to the agent's first. */
  reply_ms?: number;
}

export type EndReason = "caller" | "agent" | "drain" | "limit" | "quota" | "idle" | "error";

interface Known {
  call_started: { call: { id: string; agent: string } };
  media_started: object;
  user_speech_started: object;
  user_speech_stopped: object;
  user_transcript: { text: string; final: boolean };
  agent_text: { text: string };
  agent_speech_started: object;
  agent_speech_stopped: { played_ms: number };
  turn_ended: { stages: Stages; interrupted: boolean; heard: string };
  tool_started: { tool: string; tool_call_id: string; arguments: Record<string, unknown> };
  tool_ended: { tool: string; tool_call_id: string; after_ms: number; error: string };
  engine_replaced: { kind: string; failed: string; replacement: string; reason: string };
  call_held: object;
  call_resumed: object;
  call_transferred: { target: string };
  call_failed: { code: string; message: string; hint: string };
  call_ended: { reason: EndReason; duration_s: number };
}

export type EventName = keyof Known;

/** One event; those that the page has no use for are still passed on, under their own name. */
export type ParleyEvent = {
  [Name in EventName]: { event: Name; call_id: string; at_s: number } & Known[Name];
}[EventName];
