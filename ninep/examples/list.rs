//! Lists a directory of a 9P2000.L server, as `ls -l` would: `list 127.0.0.1:5640 usr share`.

use std::error::Error;
use std::net::TcpStream;

use embedded_io_adapters::std::FromStd;
use ninep::client::Client;
use ninep::limits::NONUNAME;
use ninep::types::{getattr, open};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("usage: list ADDRESS:PORT [NAME]...")?;
    let names: Vec<String> = arguments.collect();
    let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();

    let mut buffer = vec![0; 128 * 1024];
    let mut client = Client::version(FromStd::new(TcpStream::connect(address)?), &mut buffer)?;
    let (root, _) = client.attach(b"root", b"", NONUNAME)?;
    let (directory, _) = client.walk(&root, &names)?;
    let (listed, _) = client.walk(&directory, &[])?;
    client.lopen(&listed, open::RDONLY | open::DIRECTORY)?;

    let mut offset = 0;
    loop {
        let mut entries = Vec::new();
        for entry in client.readdir(&listed, offset, u32::MAX)? {
            let entry = entry?;
            offset = entry.offset;
            entries.push(entry.name.to_vec());
        }
        if entries.is_empty() {
            break;
        }
        for name in entries {
            let (file, _) = client.walk(&directory, &[&name])?;
            let attr = client.getattr(&file, getattr::BASIC)?.attr;
            client.clunk(file)?;
            println!("{:06o} {:12} {}", attr.mode, attr.size, String::from_utf8_lossy(&name));
        }
    }
    client.clunk(listed)?;
    client.clunk(directory)?;
    client.clunk(root)?;
    Ok(())
}
