/** Does one part of a check; what it throws is a failure of that part, and the others go on. */
export async function attempt(check, name, work) {
  try {
    return await work();
  } catch (error) {
    check(name, false, `${error.code ?? error.name}: ${error.message}`);
    return undefined;
  }
}
