/** The states of a call, as the page knows them, and what leads from one to the next. */

export type CallState =
  | "idle" // no call yet
  | "asking" // waiting for the microphone
  | "connecting" // the offer is on its way, or the network is being tried
  | "live" // sound flows both ways
  | "reconnecting" // the network is gone; the session is not
  | "ended" // over, as somebody wished
  | "failed"; // over, or never begun, because something broke

export type Signal =
  | "start"
  | "microphone_ready"
  | "connected"
  | "lost"
  | "ended"
  | "failed";

const NEXT: Record<CallState, Partial<Record<Signal, CallState>>> = {
  idle: { start: "asking", failed: "failed" },
  asking: { microphone_ready: "connecting", ended: "idle", failed: "failed" },
  connecting: { connected: "live", ended: "ended", failed: "failed" },
  live: { lost: "reconnecting", ended: "ended", failed: "failed" },
  reconnecting: { connected: "live", ended: "ended", failed: "failed" },
  ended: { start: "asking", failed: "failed" },
  failed: { start: "asking", ended: "ended" },
};

/** The state after a signal; a signal that means nothing in a state leaves it as it is. */
export function stateAfter(state: CallState, signal: Signal): CallState {
  return NEXT[state][signal] ?? state;
}

/** Whether there is a call: somebody has started it and nobody has ended it. */
export function isInCall(state: CallState): boolean {
  return state === "connecting" || state === "live" || state === "reconnecting";
}
