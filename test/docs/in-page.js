/* global document, DOMParser, getComputedStyle, innerWidth, NodeFilter, window */
/** Runs in the browser: what is wrong with the page as it is shown. Each check gives a list of texts. */
window.checks = (() => {
  const nameOf = (element) => {
    const text = (element.textContent ?? '').trim().replaceAll(/\s+/g, ' ').slice(0, 40);
    return `<${element.tagName.toLowerCase()} class="${element.getAttribute('class') ?? ''}"> ${text}`;
  };

  /** True if an ancestor scrolls or clips sideways. */
  const isClipped = (element) => {
    for (let each = element.parentElement; each !== null && each !== document.body; each = each.parentElement)
      if (getComputedStyle(each).overflowX !== 'visible') return true;
    return false;
  };

  const isShown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });

  /** What is wider than the window. */
  function overflow() {
    const found = [];
    const { scrollWidth } = document.documentElement;
    if (scrollWidth > innerWidth) found.push(`the page scrolls sideways: ${scrollWidth} > ${innerWidth}`);
    for (const element of document.body.querySelectorAll('*')) {
      const { left, right, width } = element.getBoundingClientRect();
      if (width === 0 || (left >= -1 && right <= innerWidth + 1)) continue;
      if (isShown(element) && !isClipped(element)) found.push(`${nameOf(element)}: ${left} to ${right}`);
    }
    return found;
  }

  const channels = (color) => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return { rgb: [red, green, blue], alpha: alpha / 255 };
  };
  const known = new Map();
  const parse = (color) => {
    if (!known.has(color)) known.set(color, channels(color));
    return known.get(color);
  };
  const luminance = ({ rgb }) => {
    const [red, green, blue] = rgb.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const backgroundOf = (element) => {
    for (let each = element; each !== null; each = each.parentElement) {
      const color = parse(getComputedStyle(each).backgroundColor);
      if (color.alpha > 0.5) return color;
    }
    return parse('white');
  };

  /** Texts that are hard to read: below 4.5 to 1, or 3 to 1 for large letters, as WCAG asks. */
  function contrast() {
    const found = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (
        walker.currentNode.data.trim() === '' ||
        element.closest('svg, script, style, noscript') ||
        !isShown(element)
      )
        continue;
      const { color, fontSize, fontWeight } = getComputedStyle(element);
      const [a, b] = [luminance(parse(color)), luminance(backgroundOf(element))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const isLarge =
        parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && Number(fontWeight) >= 700);
      if (ratio < (isLarge ? 3 : 4.5)) found.add(`${nameOf(element)}: ${ratio.toFixed(2)} to 1, ${color}`);
    }
    return [...found];
  }

  /**
   * Shows another page of the site in place of this one, without its scripts: they and the style sheets are the same in all pages, and to load
   * them takes most of the time.
   */
  function show(html, address) {
    const { body, title } = new DOMParser().parseFromString(html, 'text/html');
    const base = document.querySelector('base') ?? document.head.appendChild(document.createElement('base'));
    base.href = address;
    document.title = title;
    document.body.replaceWith(document.adoptNode(body));
  }

  /** Pictures that did not load. */
  async function pictures() {
    await Promise.allSettled([...document.images].map((image) => image.decode()));
    return [...document.images].filter((image) => image.naturalWidth === 0).map((image) => image.src);
  }

  /** For a page that is an SVG: what lies outside of it, and texts that cover each other. */
  function drawing() {
    const frame = document.documentElement.getBoundingClientRect();
    const inside = ({ left, right, top, bottom }) =>
      left >= frame.left && right <= frame.right && top >= frame.top && bottom <= frame.bottom;
    const shapes = [...document.querySelectorAll('text, rect, line, path, circle, image')];
    const outside = shapes.filter((shape) => !inside(shape.getBoundingClientRect()));
    const texts = [...document.querySelectorAll('text')].map((text) => ({
      text,
      box: text.getBoundingClientRect(),
    }));
    const covered = texts.flatMap(({ text, box }, i) =>
      texts
        .slice(i + 1)
        .filter(({ box: other }) => {
          const wide = Math.min(box.right, other.right) - Math.max(box.left, other.left);
          const high = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
          return wide > 1 && high > 4;
        })
        .map(({ text: other }) => `${text.textContent} covers ${other.textContent}`),
    );
    return [...outside.map((shape) => `outside: ${nameOf(shape)}`), ...covered];
  }

  return { show, overflow, contrast, pictures, drawing };
})();
