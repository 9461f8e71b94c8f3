/** A JSON value whose objects are Maps: no name, not even `__proto__`, means anything but itself. */
export type Json = null | boolean | number | string | Json[] | Map<string, Json>;

const space = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const stringBody = /"(?:[^"\\]|\\.)*"/sy;

/**
 * Parses JSON more strictly than `JSON.parse`: a duplicate key is an error (not "the last one wins"), nesting is
 * capped, integers beyond 2^53 are refused. Throws `SyntaxError` with the place.
 */
export function parseStrict(text: string, maxDepth = 32): Json {
  let at = 0;
  const fail = (what: string): never => {
    throw new SyntaxError(`${what} at character ${at}`);
  };
  const skip = () => {
    space.lastIndex = at;
    space.exec(text);
    at = space.lastIndex;
  };
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const string = (): string => {
    const raw = take(stringBody) ?? fail('expected a string');
    return JSON.parse(raw) as string;
  };
  const word = (literal: string, value: Json): Json => {
    if (!text.startsWith(literal, at)) fail('unexpected character');
    at += literal.length;
    return value;
  };
  const members = (close: string, member: () => void) => {
    at++;
    skip();
    if (text[at] === close) {
      at++;
      return;
    }
    for (;;) {
      skip();
      member();
      skip();
      const next = text[at++];
      if (next === close) return;
      if (next !== ',') {
        at--;
        fail(`expected "," or "${close}"`);
      }
    }
  };
  const value = (depth: number): Json => {
    if (depth > maxDepth) fail(`nested more than ${maxDepth} deep`);
    skip();
    switch (text[at]) {
      case '{': {
        const object = new Map<string, Json>();
        members('}', () => {
          const key = string();
          if (object.has(key)) fail(`duplicate key ${JSON.stringify(key)}`);
          skip();
          if (text[at] !== ':') fail('expected ":"');
          at++;
          object.set(key, value(depth + 1));
        });
        return object;
      }
      case '[': {
        const array: Json[] = [];
        members(']', () => array.push(value(depth + 1)));
        return array;
      }
      case '"':
        return string();
      case 't':
        return word('true', true);
      case 'f':
        return word('false', false);
      case 'n':
        return word('null', null);
      default: {
        const raw = take(number) ?? fail('unexpected character');
        const parsed = Number(raw);
        if (/^-?\d+$/.test(raw) && !Number.isSafeInteger(parsed)) fail(`number ${raw} is beyond 2^53`);
        return parsed;
      }
    }
  };
  const result = value(0);
  skip();
  if (at !== text.length) fail('unexpected text after the value');
  return result;
}
