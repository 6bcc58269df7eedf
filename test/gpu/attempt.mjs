/** Runs one part of a check. An exception is a failure of that part alone. */
export async function attempt(check, name, work) {
  try {
    return await work();
  } catch (error) {
    check(name, false, `${error.code ?? error.name}: ${error.message}`);
    return undefined;
  }
}
