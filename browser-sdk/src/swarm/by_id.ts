/** A few things by their number, in the order of their numbers. */
import { firstPlace } from "./search.ts";

/** A map that goes through its entries by ascending id. Ids grow, so that a new one mostly goes to the end. */
export class ById<V> {
  readonly #ids: number[] = [];
  readonly #values: V[] = [];

  get size(): number {
    return this.#ids.length;
  }

  has(id: number): boolean {
    return this.#ids[this.#place(id)] === id;
  }

  get(id: number): V | undefined {
    const place = this.#place(id);
    return this.#ids[place] === id ? this.#values[place] : undefined;
  }

  /** Adds what is not there yet. */
  add(id: number, value: V): void {
    const place = this.#place(id);
    this.#ids.splice(place, 0, id);
    this.#values.splice(place, 0, value);
  }

  /** Removes an entry and returns its value. */
  take(id: number): V | undefined {
    const place = this.#place(id);
    if (this.#ids[place] !== id) return undefined;
    this.#ids.splice(place, 1);
    return this.#values.splice(place, 1)[0];
  }

  ids(): readonly number[] {
    return this.#ids;
  }

  values(): readonly V[] {
    return this.#values;
  }

  /** Ids of the entries that fit, ascending. */
  idsWhere(fits: (value: V, id: number) => boolean): number[] {
    return this.#ids.filter((id, place) => fits(this.#values[place] as V, id));
  }

  /** First place whose id is at least `id`. */
  #place(id: number): number {
    return firstPlace(this.#ids, (other) => other >= id);
  }
}
