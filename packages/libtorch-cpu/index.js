'use strict';
const path = require('node:path');

// File tracers read these expressions, and take the folders and the file along.
module.exports = {
  lib: path.join(__dirname, 'lib'),
  licenses: path.join(__dirname, 'licenses'),
  record: path.join(__dirname, 'runtime.json'),
};
