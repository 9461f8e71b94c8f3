/** A value of a pickle: plain data, or one of the few things that a file of tensors is made of. */
export type Pickled =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | Pickled[]
  | Tuple
  | Map<Pickled, Pickled>
  | Named
  | Stored
  | Built;

export class Tuple {
  constructor(readonly items: readonly Pickled[]) {}
}

/** A class or function that the pickle names: never looked up, never called. */
export class Named {
  constructor(readonly name: string) {}
}

/** What lies beside the pickle: a storage of numbers. */
export class Stored {
  constructor(readonly id: readonly Pickled[]) {}
}

/** A `Named` that the pickle asks to call, with what it would be given. */
export class Built {
  constructor(
    readonly by: string,
    readonly given: readonly Pickled[],
  ) {}
}

/** A pickle that holds more than plain data and allowed names, or is damaged. The message is a clause. */
export class PickleError extends Error {
  override name = 'PickleError';
}

/** The bytes end before the pickle does. */
export class PickleCutError extends PickleError {
  constructor() {
    super('its pickle breaks off');
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function utf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new PickleError('its pickle holds text that is not UTF-8');
  }
}

const latin = (bytes: Uint8Array) => Array.from(bytes, (b) => String.fromCharCode(b)).join('');
const markOnStack = Symbol('mark');
type Slot = Pickled | typeof markOnStack;

/**
 * Reads one pickle, protocols 2 to 5, without running anything: of the pickle machine's instructions only those that
 * build plain data are known. A class or function may be named where `allowed` has its name, and comes out as that
 * name. Everything else throws `PickleError`, which names it. Gives the value and the offset behind the pickle.
 */
export function unpickle(
  bytes: Uint8Array,
  allowed: ReadonlySet<string>,
  from = 0,
): { value: Pickled; end: number } {
  return new Machine(bytes, allowed, from).run();
}

class Machine {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #allowed: ReadonlySet<string>;
  readonly #stack: Slot[] = [];
  readonly #memo = new Map<number, Pickled>();
  #at: number;

  constructor(bytes: Uint8Array, allowed: ReadonlySet<string>, from: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#allowed = allowed;
    this.#at = from;
  }

  run(): { value: Pickled; end: number } {
    for (;;) {
      const code = this.#byte();
      if (code === 0x2e) return { value: this.#pop(), end: this.#at };
      const step = instructions.get(code);
      if (!step)
        throw new PickleError(`its pickle has the instruction 0x${code.toString(16).padStart(2, '0')}`);
      step(this.#hands);
    }
  }

  readonly #byte = (): number => {
    if (this.#at >= this.#bytes.length) throw new PickleCutError();
    return this.#bytes[this.#at++];
  };

  readonly #take = (length: number): Uint8Array => {
    if (!(length >= 0) || this.#at + length > this.#bytes.length) throw new PickleCutError();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  };

  readonly #pop = (): Pickled => {
    const top = this.#stack.pop();
    if (top === undefined || top === markOnStack)
      throw new PickleError('its pickle takes what it never gave');
    return top;
  };

  readonly #hands: Hands = {
    byte: this.#byte,
    take: this.#take,
    pop: this.#pop,
    push: (value) => void this.#stack.push(value),
    mark: () => void this.#stack.push(markOnStack),
    toMark: () => {
      const at = this.#stack.lastIndexOf(markOnStack);
      if (at < 0) throw new PickleError('its pickle takes what it never gave');
      return this.#stack.splice(at).slice(1) as Pickled[];
    },
    number: (bytes, read) => {
      const at = this.#at;
      this.#take(bytes);
      return read(this.#view, at);
    },
    line: () => {
      const end = this.#bytes.indexOf(10, this.#at);
      if (end < 0) throw new PickleCutError();
      const text = utf8(this.#take(end - this.#at));
      this.#at++;
      return text;
    },
    put: (key) => void this.#memo.set(key, this.#peek()),
    memoize: () => void this.#memo.set(this.#memo.size, this.#peek()),
    get: (key) => {
      const value = this.#memo.get(key);
      if (value === undefined) throw new PickleError('its pickle asks for what it never kept');
      this.#stack.push(value);
    },
    peek: () => this.#peek(),
    named: (module, name) => {
      const full = `${module}.${name}`;
      if (!this.#allowed.has(full))
        throw new PickleError(`it holds the Python object ${full}, which could run code`);
      return new Named(full);
    },
  };

  #peek(): Pickled {
    const top = this.#pop();
    this.#stack.push(top);
    return top;
  }
}

/** What an instruction may do. */
interface Hands {
  byte(): number;
  take(length: number): Uint8Array;
  pop(): Pickled;
  push(value: Pickled): void;
  mark(): void;
  /** Everything above the last mark, which goes too. */
  toMark(): Pickled[];
  number(bytes: number, read: (view: DataView, at: number) => number): number;
  line(): string;
  put(key: number): void;
  memoize(): void;
  get(key: number): void;
  peek(): Pickled;
  named(module: string, name: string): Named;
}

const u8 = (h: Hands) => h.byte();
const u16 = (h: Hands) => h.number(2, (v, at) => v.getUint16(at, true));
const u32 = (h: Hands) => h.number(4, (v, at) => v.getUint32(at, true));
const u64 = (h: Hands) => h.number(8, (v, at) => Number(v.getBigUint64(at, true)));
const i32 = (h: Hands) => h.number(4, (v, at) => v.getInt32(at, true));
const f64 = (h: Hands) => h.number(8, (v, at) => v.getFloat64(at, false));

/** A two's complement number of any length; beyond 2^53 it is only ever compared, so the nearest will do. */
function long(bytes: Uint8Array): number {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
  return Number(bytes.length ? BigInt.asIntN(bytes.length * 8, value) : 0n);
}

function fill(map: Pickled, pairs: readonly Pickled[]): void {
  if (!(map instanceof Map)) throw new PickleError('its pickle sets items of what is no dictionary');
  for (let i = 0; i + 1 < pairs.length; i += 2) map.set(pairs[i], pairs[i + 1]);
}

function extend(list: Pickled, items: readonly Pickled[]): void {
  if (!Array.isArray(list)) throw new PickleError('its pickle appends to what is no list');
  for (const item of items) list.push(item);
}

function call(h: Hands): void {
  const given = h.pop();
  const by = h.pop();
  if (!(by instanceof Named) || !(given instanceof Tuple))
    throw new PickleError('its pickle calls what has no name');
  // An ordered dictionary is a dictionary here; nothing depends on its class.
  const items = given.items[0];
  if (by.name === orderedDict) {
    const map = new Map<Pickled, Pickled>();
    for (const pair of Array.isArray(items) ? items : [])
      if (pair instanceof Tuple || Array.isArray(pair)) fill(map, pair instanceof Tuple ? pair.items : pair);
    h.push(map);
  } else h.push(new Built(by.name, given.items));
}

export const orderedDict = 'collections.OrderedDict';

/** Attributes that a dictionary was given, such as a state dict's `_metadata`: of no use here. */
function build(h: Hands): void {
  h.pop();
  if (!(h.peek() instanceof Map)) throw new PickleError('its pickle sets the state of an object');
}

const instructions: ReadonlyMap<number, (h: Hands) => void> = new Map<number, (h: Hands) => void>([
  // protocol, frame
  [0x80, (h) => void h.byte()],
  [0x95, (h) => void u64(h)],
  // constants
  [0x4e, (h) => h.push(null)],
  [0x88, (h) => h.push(true)],
  [0x89, (h) => h.push(false)],
  [0x4b, (h) => h.push(u8(h))],
  [0x4d, (h) => h.push(u16(h))],
  [0x4a, (h) => h.push(i32(h))],
  [0x8a, (h) => h.push(long(h.take(u8(h))))],
  [0x8b, (h) => h.push(long(h.take(i32(h))))],
  [0x47, (h) => h.push(f64(h))],
  // text and bytes
  [0x8c, (h) => h.push(utf8(h.take(u8(h))))],
  [0x58, (h) => h.push(utf8(h.take(u32(h))))],
  [0x8d, (h) => h.push(utf8(h.take(u64(h))))],
  [0x55, (h) => h.push(latin(h.take(u8(h))))],
  [0x54, (h) => h.push(latin(h.take(i32(h))))],
  [0x43, (h) => h.push(h.take(u8(h)))],
  [0x42, (h) => h.push(h.take(u32(h)))],
  // containers
  [0x28, (h) => h.mark()],
  [0x7d, (h) => h.push(new Map())],
  [0x5d, (h) => h.push([])],
  [0x29, (h) => h.push(new Tuple([]))],
  [0x74, (h) => h.push(new Tuple(h.toMark()))],
  [0x85, (h) => h.push(new Tuple([h.pop()]))],
  [0x86, (h) => h.push(new Tuple([h.pop(), h.pop()].reverse()))],
  [0x87, (h) => h.push(new Tuple([h.pop(), h.pop(), h.pop()].reverse()))],
  [0x6c, (h) => h.push(h.toMark())],
  [
    0x64,
    (h) => {
      const map = new Map<Pickled, Pickled>();
      fill(map, h.toMark());
      h.push(map);
    },
  ],
  [
    0x61,
    (h) => {
      const item = h.pop();
      extend(h.peek(), [item]);
    },
  ],
  [
    0x65,
    (h) => {
      const items = h.toMark();
      extend(h.peek(), items);
    },
  ],
  [
    0x73,
    (h) => {
      const value = h.pop();
      const key = h.pop();
      fill(h.peek(), [key, value]);
    },
  ],
  [
    0x75,
    (h) => {
      const pairs = h.toMark();
      fill(h.peek(), pairs);
    },
  ],
  // memo and stack
  [0x71, (h) => h.put(u8(h))],
  [0x72, (h) => h.put(u32(h))],
  [0x94, (h) => h.memoize()],
  [0x68, (h) => h.get(u8(h))],
  [0x6a, (h) => h.get(u32(h))],
  [0x30, (h) => void h.pop()],
  [0x31, (h) => void h.toMark()],
  [0x32, (h) => h.push(h.peek())],
  // names, calls, storages
  [0x63, (h) => h.push(h.named(h.line(), h.line()))],
  [
    0x93,
    (h) => {
      const name = h.pop();
      const module = h.pop();
      if (typeof name !== 'string' || typeof module !== 'string')
        throw new PickleError('its pickle names an object by what is no text');
      h.push(h.named(module, name));
    },
  ],
  [0x52, call],
  [0x62, build],
  [
    0x51,
    (h) => {
      const id = h.pop();
      if (!(id instanceof Tuple)) throw new PickleError('its pickle names a storage in an unknown way');
      h.push(new Stored(id.items));
    },
  ],
]);
