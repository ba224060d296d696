//! Code that is wrong: the verifier refuses it, or it harms nothing that is not the guest's.

mod miscompiled;
mod runs;
