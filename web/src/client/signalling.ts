/** What the client asks of the server over HTTP. */

export interface Answer {
  sdp: string;
  type: RTCSdpType;
  pc_id: string;
  session_id?: string;
}

export interface Offer {
  sdp: string;
  type: RTCSdpType;
  pc_id?: string;
  restart_pc?: boolean;
  request_data?: { agent?: string; voice?: string };
}

export interface Voice {
  id: string;
  name: string;
  language: string;
}

export interface Agent {
  name: string;
  title: string;
  description: string;
  is_default: boolean;
  voice: string;
  voices: Voice[];
  engines: { stt: string; llm: string; tts: string };
  is_language_model: boolean;
}

/** The server answered, and the answer was no. */
export class ServerProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly retryAfterS: number;

  constructor(status: number, code: string, message: string, retryAfterS: number) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

/** No answer came. */
export class Unreachable extends Error {}

/** Asks the person for a key; `refused` when the one given before was not accepted. */
export type AskForKey = (refused: boolean) => Promise<string | undefined>;

const KEY_SLOT = "parley.key";

export class Signalling {
  readonly #askForKey: AskForKey;
  #asking: Promise<string | undefined> | undefined;

  constructor(askForKey: AskForKey) {
    this.#askForKey = askForKey;
  }

  async agents(): Promise<Agent[]> {
    return ((await this.#request("GET", "/api/agents")) as { agents: Agent[] }).agents;
  }

  async iceServers(): Promise<RTCIceServer[]> {
    const body = await this.#request("GET", "/api/ice-servers");
    return (body as { iceServers?: RTCIceServer[] }).iceServers ?? [];
  }

  async offer(offer: Offer, timeoutMs: number): Promise<Answer> {
    return (await this.#request("POST", "/api/offer", offer, timeoutMs)) as Answer;
  }

  async addCandidates(pcId: string, candidates: RTCIceCandidate[]): Promise<void> {
    await this.#request("PATCH", "/api/offer", {
      pc_id: pcId,
      candidates: candidates.map((found) => ({
        candidate: found.candidate,
        sdp_mid: found.sdpMid ?? "0",
        sdp_mline_index: found.sdpMLineIndex ?? 0,
      })),
    });
  }

  async #request(method: string, path: string, body?: object, timeoutMs = 15_000): Promise<unknown> {
    for (;;) {
      const key = sessionStorage.getItem(KEY_SLOT);
      const response = await send(method, path, body, key, timeoutMs);
      if (response.status !== 401) return read(response);
      // Another request may have brought a newer key while this one was under way.
      if (key !== sessionStorage.getItem(KEY_SLOT)) continue;
      this.#asking ??= this.#askForKey(key !== null).finally(() => (this.#asking = undefined));
      const given = await this.#asking;
      if (given === undefined) return read(response);
      sessionStorage.setItem(KEY_SLOT, given);
    }
  }
}

async function send(
  method: string,
  path: string,
  body: object | undefined,
  key: string | null,
  timeoutMs: number,
): Promise<Response> {
  const headers: Record<string, string> = {};
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Authorization"] = `Bearer ${key}`;
  try {
    return await fetch(path, {
      method,
      headers,
      body: body ? JSON.stringify(body) : null,
      cache: "no-store",
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch (cause) {
    throw new Unreachable(`${method} ${path} got no answer`, { cause });
  }
}

async function read(response: Response): Promise<unknown> {
  const body: unknown = await response.json().catch(() => undefined);
  if (response.ok) return body;
  throw problemIn(response.status, body, response.headers.get("Retry-After"));
}

/** Reads an OpenAI error envelope, or whatever else a proxy in between may have sent. */
export function problemIn(status: number, body: unknown, retryAfter: string | null): ServerProblem {
  const error = (body as { error?: { code?: string; message?: string } } | undefined)?.error;
  const seconds = Number.parseInt(retryAfter ?? "", 10);
  return new ServerProblem(
    status,
    error?.code ?? `http_${status}`,
    error?.message ?? "",
    Number.isFinite(seconds) ? seconds : 0,
  );
}
