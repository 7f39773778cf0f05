// Set up for tests that start real processes: importing torch alone takes seconds, and on a machine
// under load half a minute.
jest.setTimeout(300_000);
