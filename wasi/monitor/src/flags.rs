//! Flag arguments of hostcalls. An undefined bit is an error, and never ignored (T10).

use crate::Errno;

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident { $($(#[$flag_doc:meta])* $flag:ident = $bit:literal;)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name(u16);

        impl $name {
            $($(#[$flag_doc])* pub const $flag: Self = Self(1 << $bit);)*
            const KNOWN: u16 = 0 $(| 1 << $bit)*;

            /// Parses the bits that a guest passed.
            ///
            /// # Errors
            /// [`Errno::INVAL`] for any unknown bit of the 32 bits.
            pub fn from_guest(bits: u32) -> Result<Self, Errno> {
                match u16::try_from(bits) {
                    Ok(bits) if bits & !Self::KNOWN == 0 => Ok(Self(bits)),
                    _ => Err(Errno::INVAL),
                }
            }

            /// The bits.
            #[must_use]
            pub const fn bits(self) -> u16 {
                self.0
            }

            /// No flag.
            #[must_use]
            pub const fn empty() -> Self {
                Self(0)
            }

            /// Whether all of `other` is set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// The flags in either set.
            #[must_use]
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// The flags in exactly one of the sets.
            #[must_use]
            pub const fn difference(self, other: Self) -> Self {
                Self(self.0 ^ other.0)
            }
        }
    )*};
}

flags! {
    /// Flags of an open descriptor.
    FdFlags {
        /// Every write goes to the end.
        APPEND = 0;
        /// Writes wait until the data is on the disk.
        DSYNC = 1;
        /// Calls fail with `AGAIN` instead of waiting.
        NONBLOCK = 2;
        /// Reads are synchronized, too.
        RSYNC = 3;
        /// Writes wait until data and metadata are on the disk.
        SYNC = 4;
    }
    /// How `path_open` opens.
    OFlags {
        /// Create the file if it does not exist.
        CREAT = 0;
        /// Fail if it is not a directory.
        DIRECTORY = 1;
        /// Fail if it exists.
        EXCL = 2;
        /// Truncate to size 0.
        TRUNC = 3;
    }
    /// How a path is looked up.
    LookupFlags {
        /// A final symbolic link is followed.
        SYMLINK_FOLLOW = 0;
    }
    /// Which timestamps to set.
    FstFlags {
        /// Set the access time to the argument.
        ATIM = 0;
        /// Set the access time to now.
        ATIM_NOW = 1;
        /// Set the modification time to the argument.
        MTIM = 2;
        /// Set the modification time to now.
        MTIM_NOW = 3;
    }
    /// Flags of `sock_recv`.
    RiFlags {
        /// Leave the data in the queue.
        PEEK = 0;
        /// Wait for the full amount.
        WAITALL = 1;
    }
    /// Flags returned by `sock_recv`.
    RoFlags {
        /// The message was truncated.
        DATA_TRUNCATED = 0;
    }
    /// Which directions of a connection to shut down.
    SdFlags {
        /// No more receiving.
        RD = 0;
        /// No more sending.
        WR = 1;
    }
    /// How the timeout of a clock subscription is meant.
    SubclockFlags {
        /// A point in time, not a duration.
        ABSTIME = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t10_unknown_bits_are_refused_in_every_position() {
        assert_eq!(FdFlags::from_guest(0x1f), Ok(FdFlags(0x1f)));
        for bit in 5..32 {
            assert_eq!(FdFlags::from_guest(1 << bit), Err(Errno::INVAL), "bit {bit}");
        }
        for bit in 1..32 {
            assert_eq!(LookupFlags::from_guest(1 << bit), Err(Errno::INVAL), "bit {bit}");
        }
    }
}
