//! Names of C++ functions: the words that codes stand for.

use super::Part;

/// What is made for a type.
pub const SPECIAL_TYPES: [(&str, &str); 4] =
    [("TV", "vtable for "), ("TT", "VTT for "), ("TI", "typeinfo for "), ("TS", "typeinfo name for ")];

/// What is made for a name.
pub const SPECIAL_NAMES: [(&str, &str); 3] =
    [("GV", "guard variable for "), ("TW", "TLS wrapper function for "), ("TH", "TLS init function for ")];

/// Types with `D` in front.
pub const TYPES_OF_D: [(&str, &str); 10] = [
    ("Dn", "decltype(nullptr)"),
    ("Di", "char32_t"),
    ("Ds", "char16_t"),
    ("Du", "char8_t"),
    ("Da", "auto"),
    ("Dc", "decltype(auto)"),
    ("Dh", "half"),
    ("DF16_", "_Float16"),
    ("Dd", "decimal64"),
    ("De", "decimal128"),
];

/// Qualifiers of a member function that has a reference as well.
pub fn with_reference(qualifiers: &str, is_rvalue: bool) -> Option<&'static str> {
    Some(match (qualifiers, is_rvalue) {
        ("", false) => " &",
        ("", true) => " &&",
        (" const", false) => " const &",
        (" const", true) => " const &&",
        _ => return None,
    })
}

/// A type that one letter stands for.
pub fn builtin(letter: u8) -> Option<&'static str> {
    Some(match letter {
        b'v' => "void",
        b'w' => "wchar_t",
        b'b' => "bool",
        b'c' => "char",
        b'a' => "signed char",
        b'h' => "unsigned char",
        b's' => "short",
        b't' => "unsigned short",
        b'i' => "int",
        b'j' => "unsigned int",
        b'l' => "long",
        b'm' => "unsigned long",
        b'x' => "long long",
        b'y' => "unsigned long long",
        b'n' => "__int128",
        b'o' => "unsigned __int128",
        b'f' => "float",
        b'd' => "double",
        b'e' => "long double",
        b'g' => "__float128",
        b'z' => "...",
        _ => return None,
    })
}

/// Names of the library that one letter stands for.
pub const LIBRARY: [(&str, Part<'static>); 6] = [
    ("a", Part::Library("std::allocator", "allocator")),
    ("b", Part::Library("std::basic_string", "basic_string")),
    ("s", Part::Library("std::string", "basic_string")),
    ("i", Part::Library("std::istream", "basic_istream")),
    ("o", Part::Library("std::ostream", "basic_ostream")),
    ("d", Part::Library("std::iostream", "basic_iostream")),
];

/// Operators by their codes.
pub const OPERATORS: [(&str, &str); 48] = [
    ("nw", " new"),
    ("na", " new[]"),
    ("dl", " delete"),
    ("da", " delete[]"),
    ("aw", " co_await"),
    ("ps", "+"),
    ("ng", "-"),
    ("ad", "&"),
    ("de", "*"),
    ("co", "~"),
    ("pl", "+"),
    ("mi", "-"),
    ("ml", "*"),
    ("dv", "/"),
    ("rm", "%"),
    ("an", "&"),
    ("or", "|"),
    ("eo", "^"),
    ("aS", "="),
    ("pL", "+="),
    ("mI", "-="),
    ("mL", "*="),
    ("dV", "/="),
    ("rM", "%="),
    ("aN", "&="),
    ("oR", "|="),
    ("eO", "^="),
    ("ls", "<<"),
    ("rs", ">>"),
    ("lS", "<<="),
    ("rS", ">>="),
    ("eq", "=="),
    ("ne", "!="),
    ("lt", "<"),
    ("gt", ">"),
    ("le", "<="),
    ("ge", ">="),
    ("ss", "<=>"),
    ("nt", "!"),
    ("aa", "&&"),
    ("oo", "||"),
    ("pp", "++"),
    ("mm", "--"),
    ("cm", ","),
    ("pm", "->*"),
    ("pt", "->"),
    ("cl", "()"),
    ("ix", "[]"),
];
