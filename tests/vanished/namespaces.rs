//! Two network namespaces with a link between them, for one test. Nothing of the machine's own network is touched: both
//! ends of the link are made inside.

use std::io;
use std::path::Path;
use std::process::Command;

/// The namespaces of the server and of the clients, and the link between them. The end of this value removes all three.
pub struct Link {
    /// The names of the namespaces, the server's first.
    pub namespaces: [String; 2],
}

impl Link {
    /// The address of the server's end. Addresses of TEST-NET-1 belong to nobody (RFC 5737).
    pub const SERVER: &str = "192.0.2.1";

    /// Makes the namespaces and the link. `Err` says why they may not be made here.
    pub fn make() -> Result<Self, String> {
        // The names of namespaces are the machine's; the number of this process makes them unique.
        let process = std::process::id();
        let namespaces = ["server", "client"].map(|end| format!("vanished-{process}-{end}"));
        ip(&["netns", "add", &namespaces[0]])?;
        // From here on a failure drops the value, and the drop removes what was made so far.
        let link = Self { namespaces };
        let [server, client] = link.namespaces.each_ref().map(String::as_str);
        ip(&["netns", "add", client])?;
        let (one, other) = (&*device("s"), &*device("c"));
        ip(&["link", "add", one, "netns", server, "type", "veth", "peer", "name", other, "netns", client])?;
        for (name, device, address) in [(server, one, "192.0.2.1/24"), (client, other, "192.0.2.2/24")] {
            ip(&["-n", name, "address", "add", address, "dev", device])?;
            ip(&["-n", name, "link", "set", device, "up"])?;
            // Clients beside the server reach its address through the loopback device.
            ip(&["-n", name, "link", "set", "lo", "up"])?;
        }
        Ok(link)
    }

    /// Cuts the link at the client's end: no packet gets through any more, FIN and RST included.
    pub fn cut(&self) {
        ip(&["-n", &self.namespaces[1], "link", "set", &device("c"), "down"]).expect("the link is cut");
    }
}

/// The name of the device at one end, of which the kernel allows 15 characters.
fn device(end: &str) -> String {
    format!("vn{}{end}", std::process::id())
}

/// Whether there is a namespace of this name.
pub fn exists(name: &str) -> bool {
    Path::new("/run/netns").join(name).exists()
}

impl Drop for Link {
    fn drop(&mut self) {
        // A command fails where the link was only made in part. The link goes first, because connections of a process
        // that has ended may keep a namespace alive after its name is gone.
        let _ = ip(&["-n", &self.namespaces[0], "link", "delete", &device("s")]);
        for name in &self.namespaces {
            let _ = ip(&["netns", "delete", name]);
        }
    }
}

/// Runs the program `ip`. `Err` holds the complaint of the program, in one line.
fn ip(arguments: &[&str]) -> Result<(), String> {
    let describe =
        |reason: &str| format!("ip {}: {}", arguments.join(" "), reason.trim().replace('\n', "; "));
    match Command::new("ip").args(arguments).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(describe(&String::from_utf8_lossy(&output.stderr))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("there is no program ip".to_owned()),
        Err(error) => Err(describe(&error.to_string())),
    }
}
