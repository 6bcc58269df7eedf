/**
 * Turns TypeDoc's reference into the documentation site: adds the guides as pages, and the sections of the navigation.
 *
 * A page of docs/ needs no entry here: its name is its first heading, and it is a guide. An export needs none either: the folder of its
 * source decides its section.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Comment, CommentTag, Converter, ReflectionKind } from 'typedoc';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

/** The pages with a fixed place, in the order of the navigation. The others of docs/ follow the guides. */
const SECTIONS = {
  Start: ['docs/installation.md', 'docs/first-steps.md', 'docs/pytorch.md'],
  Guides: [
    'docs/pictures.md',
    'docs/which-tokenlearner.md',
    'docs/visualize.md',
    'docs/gallery.md',
    'docs/weights.md',
    'docs/modules.md',
    'docs/backbone.md',
    'docs/tensors.md',
    'docs/memory.md',
    'docs/files.md',
    'docs/gpu.md',
    'docs/performance.md',
    'docs/deployment.md',
    'docs/interop.md',
    'docs/command-line.md',
    'docs/errors.md',
  ],
  Project: ['BENCHMARKS.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md'],
};

/** The section of an export, by its source below lib/. The first that fits. */
const REFERENCE = [
  [/^modules\/request/, 'Reference: requests'],
  [/^(?:modules|aoti)\//, 'Reference: models'],
  [/^(?:tensor\/image|visualize)/, 'Reference: pictures'],
  [/^(?:tensor\/|shape|dtype)/, 'Reference: tensors'],
  [/^(?:files|formats\/)/, 'Reference: files'],
  [/^(?:runtime|random|device|native-interface)/, 'Reference: runtime'],
  [/^/, 'Reference: errors'],
];

/** The section of a member of Tensor. The first that fits. */
const TENSOR_MEMBERS = [
  [/^(?:empty|zeros|ones|full|randn?|arange|linspace|eye|from|fromBuffer|cat|stack)$/, 'Create'],
  [/^(?:fromImage|fromImageSync|toImage)$/, 'Pictures'],
  [/^(?:shape|strides|dtype|device|ndim|numel|byteLength|isContiguous|disposed)$/, 'Properties'],
  [/^(?:data|item|toArray|copyTo|copyFrom|detachBuffer|dispose|toJSON|toString|\[)/, 'Elements and memory'],
  [/^(?:to|float|half|cpu|cuda|clone|contiguous)$/, 'Convert and move'],
  [/^(?:equals|allClose)$/, 'Compare'],
  [/^(?:sum|mean|argmax|topk|softmax)$/, 'Compute'],
  [/^/, 'Shape and views'],
];

const sectionOf = (table, name) => table.find(([pattern]) => pattern.test(name))[1];

/** The pages by section. */
export function pages() {
  const placed = new Set(Object.values(SECTIONS).flat());
  const all = readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md'));
  const others = all.map((name) => `docs/${name}`).filter((name) => !placed.has(name));
  const present = (names) =>
    names.filter((name) => !name.startsWith('docs/') || all.includes(path.basename(name)));
  return Object.fromEntries(
    Object.entries({ ...SECTIONS, Guides: [...SECTIONS.Guides, ...others.sort()] }).map(
      ([section, names]) => [section, present(names)],
    ),
  );
}

/** Called by TypeDoc. */
export function load(app) {
  const sections = pages();
  app.on('bootstrapEnd', () => {
    app.options.setValue(
      'projectDocuments',
      Object.values(sections)
        .flat()
        .map((name) => path.join(root, name)),
    );
  });
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (context, document) => describePage(document, sections));
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const child of project.children ?? []) {
      const file = project.getSymbolIdFromReflection(child)?.packagePath ?? '';
      categorize(child, sectionOf(REFERENCE, file.replace(/^lib\//, '')));
      if (child.name !== 'Tensor') continue;
      for (const member of child.children ?? []) categorize(member, sectionOf(TENSOR_MEMBERS, member.name));
    }
  });
}

/** The page's first heading becomes its name, which TypeDoc shows above it. */
function describePage(document, sections) {
  const [first] = document.content;
  const heading = /^#\s+(.+)\n/.exec(first?.text ?? '');
  if (heading === null) throw new Error(`${document.name} does not begin with a heading`);
  document.name = heading[1].replaceAll('`', '');
  first.text = first.text.slice(heading[0].length);
  const file = path.relative(root, document.project.files.getReflectionPath(document) ?? '');
  const found = Object.entries(sections).find(([, names]) => names.includes(file));
  document.frontmatter.category = found?.[0] ?? 'Guides';
}

function categorize(reflection, section) {
  if (reflection.kindOf(ReflectionKind.Document)) return;
  reflection.comment ??= new Comment();
  reflection.comment.blockTags.push(new CommentTag('@category', [{ kind: 'text', text: section }]));
}
