// Drawing a plot or tokenizing takes a second, and several on a machine that is busy.
jest.setTimeout(60_000);
