// Errors: every class, by who must act.
export * from "./src/errors.ts";
