//! What holds around a guest: the network, other sandboxes, limits, the way paths are resolved.

mod connect;
mod names;
mod network;
mod no_grants;
mod outer;
mod resolver;
mod resource_limits;
