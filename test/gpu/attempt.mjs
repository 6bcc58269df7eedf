/** Runs one part of a check. An exception fails only this part. */
export async function attempt(check, name, work) {
  try {
    return await work();
  } catch (error) {
    check(name, false, `${error.code ?? error.name}: ${error.message}`);
    return undefined;
  }
}
