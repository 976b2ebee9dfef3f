// Validators of any make: https://standardschema.dev. zod, valibot, arktype and others have this shape.

/** A validator, as far as it is used here. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Result<Output> | Promise<Result<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

export interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

type Result<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly Issue[] };

/** @throws TypeError if it takes its time: a supervisor, which has no event loop, cannot wait for it */
export function validate<T>(schema: StandardSchema<T>, value: unknown): Result<T> {
  const result = schema['~standard'].validate(value);
  if (!(result instanceof Promise)) return result;
  // It settles unheard.
  result.catch(() => {});
  throw Object.assign(
    new TypeError(
      'the schema validates asynchronously; loadConfig() needs one that answers at once',
    ),
    { code: 'ERR_INVALID_ARG_VALUE' },
  );
}

/** The keys that lead to what an issue is about. */
export function pathOf({ path = [] }: Issue): string[] {
  return path.map((part) => String(typeof part === 'object' ? part.key : part));
}
