//! The requests of `vectors.txt`, and what the tests make others of.

extern crate std;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::{Refused, Request, verify};
use crate::keys::authorized_keys;
use crate::wire::Writer;

pub const SESSION_ID: [u8; 32] = *b"\
    \x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
    \x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f";

/// A line of `vectors.txt`.
#[derive(Clone)]
pub struct Vector {
    pub name: &'static str,
    pub algorithm: &'static str,
    pub user: &'static str,
    /// As in an `authorized_keys` file.
    pub line: String,
    pub key: Vec<u8>,
    pub signature: Vec<u8>,
}

impl Vector {
    pub fn request(&self) -> Request<'_> {
        Request {
            user: self.user,
            service: "ssh-connection",
            algorithm: self.algorithm,
            key: &self.key,
            host_key: None,
            signature: &self.signature,
        }
    }

    /// What comes of the request when the key is authorized.
    pub fn refusal(&self) -> Option<Refused> {
        verify(&SESSION_ID, self.line.as_bytes(), &self.request()).err()
    }
}

pub fn vectors() -> impl Iterator<Item = Vector> {
    include_str!("vectors.txt").lines().filter(|line| !line.starts_with('#')).map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let [name, algorithm, user, key_type, key, signature] = fields[..] else { panic!("{line}") };
        let line = format!("{key_type} {key}");
        let key = authorized_keys::parse(line.as_bytes()).next().unwrap().unwrap().blob.to_vec();
        Vector { name, algorithm, user, line, key, signature: hex(signature) }
    })
}

pub fn genuine() -> impl Iterator<Item = Vector> {
    vectors().filter(|vector| !vector.name.starts_with("forged-"))
}

pub fn vector(name: &str) -> Vector {
    vectors().find(|vector| vector.name == name).unwrap()
}

pub fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// A signature of this algorithm and blob.
pub fn signature(algorithm: &str, blob: &[u8]) -> Vec<u8> {
    let mut out = [0; 1024];
    let mut writer = Writer::new(&mut out);
    writer.string(algorithm.as_bytes()).unwrap();
    writer.string(blob).unwrap();
    writer.into_written().to_vec()
}

/// The blob in a vector's signature.
pub fn blob(vector: &Vector) -> &[u8] {
    &vector.signature[4 + vector.algorithm.len() + 4..]
}
