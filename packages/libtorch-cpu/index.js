'use strict';
const path = require('node:path');

// File tracers read these two expressions, and take the folder and the file along.
module.exports = { lib: path.join(__dirname, 'lib'), record: path.join(__dirname, 'runtime.json') };
