/** Events by name, each with one value. */

/** Called with the value of an event. */
export type Listener<Value> = (value: Value) => void;

/** Tells listeners of the events that `Events` maps to their values. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<Listener<never>>>();

  /** Calls `listener` at each event of this name from now on. A listener is called once, however often it was added. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
  }

  off<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    this.#listeners.get(name)?.delete(listener);
  }

  /** A listener that throws is logged: it is the page's fault, and must neither stop others nor reach the player. */
  emit<Name extends keyof Events>(name: Name, value: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])] as Listener<Events[Name]>[]) {
      try {
        listener(value);
      } catch (error) {
        console.error(error);
      }
    }
  }

  /** Forgets all listeners. */
  close(): void {
    this.#listeners.clear();
  }
}
