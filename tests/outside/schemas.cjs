// Validates values with ajv.
//
//   node schemas.cjs DIALECT <input
//
// DIALECT is 2020 or draft-07. The input is {"schema": …, "values": [[pointer, value], …]}, where pointer is
// that of a definition in the schema; the output says of each value, in order, whether it is valid.
'use strict';

const fs = require('node:fs');

const Ajv = require(process.argv[2] === '2020' ? 'ajv/dist/2020' : 'ajv').default;
const { schema, values } = JSON.parse(fs.readFileSync(0, 'utf8'));
const ajv = new Ajv({ strict: true });
ajv.addVocabulary(['components', 'schemas']); // where an AsyncAPI document keeps its schemas
ajv.addSchema(schema, 'contract');
console.log(JSON.stringify(values.map(([pointer, value]) => ajv.getSchema(`contract${pointer}`)(value))));
