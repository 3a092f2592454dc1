/** Opens the caller's microphone and says plainly why it can't. */

export type MicrophoneTrouble =
  | "insecure" // the page was not loaded over https or from this machine
  | "blocked" // the browser has been told never to allow it here
  | "dismissed" // the question was closed without an answer
  | "blocked_by_system" // the operating system keeps it from the browser
  | "missing" // there is none
  | "in_use" // something else holds it
  | "broken"; // anything else

export class MicrophoneProblem extends Error {
  readonly trouble: MicrophoneTrouble;

  constructor(trouble: MicrophoneTrouble, cause?: unknown) {
    super(`No microphone: ${trouble}`, { cause });
    this.trouble = trouble;
  }
}

export async function openMicrophone(deviceId: string): Promise<MediaStream> {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
    throw new MicrophoneProblem("insecure");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: wanted(deviceId) });
  } catch (cause) {
    const name = cause instanceof Error ? cause.name : "";
    // The chosen microphone has been unplugged: any other is better than none.
    if (deviceId && (name === "OverconstrainedError" || name === "NotFoundError")) {
      return openMicrophone("");
    }
    throw new MicrophoneProblem(troubleOf(cause, await permission()), cause);
  }
}

function wanted(deviceId: string): MediaTrackConstraints {
  return {
    echoCancellation: true,
    noiseSuppression: true,
    autoGainControl: true,
    ...(deviceId ? { deviceId: { exact: deviceId } } : {}),
  };
}

async function permission(): Promise<PermissionState | "unknown"> {
  try {
    const name = "microphone" as PermissionName;
    return (await navigator.permissions.query({ name })).state;
  } catch {
    return "unknown";
  }
}

/** What the browser's error means, given what it says of the permission. */
export function troubleOf(cause: unknown, permission: PermissionState | "unknown"): MicrophoneTrouble {
  const { name, message } = cause instanceof Error ? cause : { name: "", message: "" };
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      if (/system/i.test(message)) return "blocked_by_system";
      return permission === "prompt" || /dismiss/i.test(message) ? "dismissed" : "blocked";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "in_use";
    default:
      return "broken";
  }
}

/** A stream without sound, for a caller who only types: the call itself needs a track. */
export function silence(context: AudioContext): MediaStream {
  return context.createMediaStreamDestination().stream;
}
