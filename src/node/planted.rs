//! Deliberate defects, to show that the simulation finds what it looks for. Compiled only with the feature
//! `planted-bugs`, and then switched on for one thread. Never in a server.
