// Set up for tests that start real processes: importing torch alone takes seconds.
jest.setTimeout(120_000);
