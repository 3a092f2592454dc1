/** Why there is no call, in the client's own terms; the page finds the words for it. */

import { MicrophoneProblem, type MicrophoneTrouble } from "./microphone.ts";
import { NoPath } from "./peer.ts";
import { ServerProblem, Unreachable } from "./signalling.ts";

export type ProblemCode =
  | `microphone_${MicrophoneTrouble}`
  | "unreachable" // the server does not answer
  | "busy" // all places are taken
  | "draining" // the server is going down
  | "key_needed"
  | "refused" // the server says no, and why
  | "server_failed"
  | "no_path" // answered, but no packet gets through
  | "lost" // the network went away and did not come back
  | "call_failed" // the session broke
  | "unknown";

export interface Problem {
  code: ProblemCode;
  /** What the server said, where it said something. */
  detail: string;
  /** When trying again makes sense, 0 if nobody knows. */
  retryAfterS: number;
}

export function problemOf(error: unknown): Problem {
  if (error instanceof MicrophoneProblem) return problem(`microphone_${error.trouble}`);
  if (error instanceof Unreachable) return problem("unreachable");
  if (error instanceof NoPath) return problem("no_path");
  if (error instanceof ServerProblem) {
    return { code: codeOf(error), detail: error.message, retryAfterS: error.retryAfterS };
  }
  return problem("unknown", error instanceof Error ? error.message : String(error));
}

export function problem(code: ProblemCode, detail = ""): Problem {
  return { code, detail, retryAfterS: 0 };
}

function codeOf({ status, code }: ServerProblem): ProblemCode {
  if (code === "draining") return "draining";
  if (code === "call_limit_reached" || (status === 503 && code.startsWith("http_"))) return "busy";
  if (status === 401) return "key_needed";
  return status >= 500 ? "server_failed" : "refused";
}
