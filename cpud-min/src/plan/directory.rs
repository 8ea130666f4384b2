//! Where the command starts.

use core::ffi::CStr;

use super::exec_line::Generation;

/// The working directory, and whether the command may run without it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Directory<'e> {
    /// The client's, with its files: without it the command does not run, since its relative names would mean other
    /// files.
    Required(&'e CStr),
    /// The client's, without its files: `/` will do, with a notice.
    Wished(&'e CStr),
    /// `/`: a plain ssh client, and V2, name none.
    Root,
}

/// `pwd` is the client's variable `PWD`.
pub fn directory(ninep: Option<Generation>, pwd: Option<&CStr>) -> Directory<'_> {
    match (pwd, ninep) {
        (None, _) => Directory::Root,
        (Some(pwd), _) if pwd.is_empty() => Directory::Root,
        (Some(pwd), Some(_)) => Directory::Required(pwd),
        (Some(pwd), None) => Directory::Wished(pwd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pwd_must_be_there_only_when_the_client_serves_it() {
        let v3 = Some(Generation::V3);
        assert_eq!(directory(v3, Some(c"/home/ann")), Directory::Required(c"/home/ann"));
        assert_eq!(directory(None, Some(c"/home/ann")), Directory::Wished(c"/home/ann"));
    }

    #[test]
    fn a_client_without_pwd_starts_in_the_root() {
        for pwd in [None, Some(c"")] {
            for ninep in [None, Some(Generation::V2), Some(Generation::V3)] {
                assert_eq!(directory(ninep, pwd), Directory::Root);
            }
        }
    }
}
