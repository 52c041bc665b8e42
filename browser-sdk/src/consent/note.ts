/** Where an answer is remembered: in the site's local storage, or nowhere where that is missing or forbidden. */

/** One text that outlives the page. */
export interface Note {
  read(): string | null;
  write(text: string): void;
  /** Calls when another page has written; until the returned function is called. */
  watch(changed: () => void): () => void;
}

/** Name of the note in the local storage. */
export const NOTE_KEY = "freshet-consent";

/** The note in the local storage. Without one it is empty and stays so. */
export function localNote(): Note {
  return {
    read: () => tried(() => localStorage.getItem(NOTE_KEY)),
    write: (text) => void tried(() => localStorage.setItem(NOTE_KEY, text)),
    watch: (changed) => {
      // Without a key, all of the storage was cleared.
      const heard = ({ key }: StorageEvent) => (key === NOTE_KEY || key === null) && changed();
      addEventListener("storage", heard);
      return () => removeEventListener("storage", heard);
    },
  };
}

/** Private windows and strict settings throw at any access, a full storage throws when written to. */
function tried<T>(access: () => T): T | null {
  try {
    return access();
  } catch {
    return null;
  }
}
