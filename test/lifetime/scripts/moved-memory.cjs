// Moves a tensor of 64 MB and opens it in the same process. Prints by how many MB the peak of resident memory grew until its data was written.
const { openShared, Tensor } = require('../../../dist');

const COUNT = 16 * 1024 * 1024;
const peak = () => process.resourceUsage().maxRSS / 1024;

const tensor = Tensor.ones([COUNT]);
const before = peak();
const opened = openShared(tensor.move());
opened.data[5] = 7;
const growth = peak() - before;
console.log(JSON.stringify({ growth, values: [...opened.data.subarray(4, 7)] }));
