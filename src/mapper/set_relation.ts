/**
 * Puts the value of a relation into an object. An assignment would meet the guard, and
 * `Object.defineProperty` takes ten times as long: it is looked up anew each time. A class field is
 * defined, too, by code that is compiled for its name, and a constructor that returns another object
 * gives the fields to that one.
 *
 * @module
 */

type Define = (object: object, value: unknown) => void;

const definers = new Map<string, Define>();

/** Makes a relation an ordinary own property of the object, in front of the guard. */
export function setRelation(object: object, property: string, value: unknown): void {
  let define = definers.get(property);
  if (define === undefined) definers.set(property, define = compileDefine(property));
  define(object, value);
}

/** Generated source: the name enters it only as a JSON string literal. */
function compileDefine(property: string): Define {
  return new Function(`
    let value;
    class Given { constructor(object) { return object; } }
    class Field extends Given { ${JSON.stringify(property)} = value; }
    return (object, given) => {
      value = given;
      new Field(object);
      value = undefined;
    };
  `)();
}
