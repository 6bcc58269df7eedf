/* global localStorage */
// The guides are open in the navigation until the reader closes them. Without storage TypeDoc's default stays.
try {
  for (const section of ['Start', 'Guides']) {
    const key = `tsd-accordion-${section}`;
    if (localStorage.getItem(key) === null) localStorage.setItem(key, 'true');
  }
} catch {
  // Storage can be forbidden.
}
