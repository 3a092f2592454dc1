/** What the page remembers from visit to visit. Without storage it simply forgets. */

export type Choice = "agent" | "microphone" | "speaker" | "announce" | `voice.${string}`;

export function recall(choice: Choice): string {
  try {
    return localStorage.getItem(`parley.${choice}`) ?? "";
  } catch {
    return "";
  }
}

export function remember(choice: Choice, value: string): void {
  try {
    localStorage.setItem(`parley.${choice}`, value);
  } catch {
    // Storage is off or full; the choice holds for this visit.
  }
}
