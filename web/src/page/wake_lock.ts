/** Keeps a phone's screen on during a call: a dark phone stops the microphone. */

export class WakeLock {
  #isWanted = false;
  #held: WakeLockSentinel | undefined;

  constructor() {
    document.addEventListener("visibilitychange", () => void this.#take());
  }

  want(isWanted: boolean): void {
    this.#isWanted = isWanted;
    if (isWanted) void this.#take();
    else void this.#held?.release().catch(() => undefined);
  }

  async #take(): Promise<void> {
    if (!this.#isWanted || document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
    try {
      this.#held = await navigator.wakeLock.request("screen");
    } catch {
      // A battery saver may refuse; the call goes on.
    }
  }
}
