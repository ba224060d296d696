//! The published allow-lists of five kinds of module.

use crate::table::SHAPES;
use crate::{Access, FilesystemGrant, Policy, Surface};

/// A kind of module, with the rules it is published to be sealed with.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its name in `shapes.toml`.
    pub name: &'static str,
    /// What such a module does.
    pub about: &'static str,
    /// The WASI functions it imports.
    pub functions: &'static [&'static str],
    /// What may be done in the one directory it is granted, if it is granted one.
    pub grant: Option<Access>,
    /// Whether it is granted a listening socket.
    pub listener: bool,
    /// Whether a linear memory can grow.
    pub growable: bool,
    /// The ids of the rules of its filter, sorted.
    pub rules: &'static [&'static str],
}

impl Shape {
    /// The policy of such a module, with grants by name only: `/srv` and port 80.
    pub fn policy(&self) -> Policy {
        let grant = self.grant.map(|access| FilesystemGrant { host: "/srv".into(), access });
        let listener = self.listener.then(|| ([127, 0, 0, 1], 80).into());
        Policy {
            surface: Surface::of_functions(self.functions),
            grants: grant.into_iter().collect(),
            listeners: listener.into_iter().collect(),
            ..Policy::default()
        }
    }
}

/// The published shapes, from the narrowest on.
pub const fn all_shapes() -> &'static [Shape] {
    &SHAPES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t85_each_shape_has_exactly_the_rules_that_are_published() {
        for shape in all_shapes() {
            let derived: Vec<_> = shape.policy().rules(shape.growable).map(|rule| rule.id).collect();
            assert_eq!(derived, shape.rules, "{}: derived, and what shapes.toml says", shape.name);
        }
        let names: Vec<_> = all_shapes().iter().map(|shape| shape.name).collect();
        assert_eq!(names, ["compute", "stdio", "files-ro", "files-rw", "server"]);
    }

    #[test]
    fn t85_a_shape_has_no_call_of_a_wider_one() {
        let calls = |name: &str| -> Vec<&str> {
            let shape = all_shapes().iter().find(|shape| shape.name == name).expect("a shape");
            shape.policy().rules(shape.growable).map(|rule| rule.call).collect()
        };
        let opens = ["openat", "openat2", "newfstatat", "readlinkat", "getdents64"];
        let changes = ["mkdirat", "renameat", "unlinkat", "linkat", "symlinkat", "ftruncate", "pwrite64", "utimensat"];
        let sockets = ["accept4", "recvmsg", "sendto", "shutdown"];
        for name in ["compute", "stdio", "server"] {
            assert!(calls(name).iter().all(|call| !opens.contains(call) && !changes.contains(call)), "{name}");
        }
        assert!(calls("files-ro").iter().all(|call| !changes.contains(call)));
        for name in ["compute", "stdio", "files-ro", "files-rw"] {
            assert!(calls(name).iter().all(|call| !sockets.contains(call)), "{name}");
        }
        assert!(sockets.iter().all(|call| calls("server").contains(call)));
    }
}
