// Reads AsyncAPI documents with AsyncAPI's own parser.
//
//   node documents.cjs FILE...
//
// Prints for each file, as one JSON array, what the parser has against it (severity 0 is an error, 1 a
// warning), and the document as js-yaml reads it.
'use strict';

const fs = require('node:fs');
const { Parser } = require('@asyncapi/parser');
const yaml = require('js-yaml');

async function look(file) {
  const text = fs.readFileSync(file, 'utf8');
  const diagnostics = await new Parser().validate(text);
  return {
    document: yaml.load(text),
    diagnostics: diagnostics.map(({ severity, code, path, message }) => ({ severity, code, path, message })),
  };
}

Promise.all(process.argv.slice(2).map(look)).then((found) => console.log(JSON.stringify(found)));
