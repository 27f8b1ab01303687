"""oci_image.py ROOT.tar OUT.tar NAME: an OCI image archive with one layer, as `ctr images import` takes it."""
import hashlib
import io
import json
import sys
import tarfile

root, out, name = sys.argv[1:4]


def digest(blob):
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def descriptor(kind, blob, **more):
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest(blob), "size": len(blob), **more}


layer = open(root, "rb").read()
config = json.dumps({"architecture": "amd64", "os": "linux",
                     "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
                     "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}).encode()
manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                       "config": descriptor("config.v1+json", config),
                       "layers": [descriptor("layer.v1.tar", layer)]}).encode()
index = json.dumps({"schemaVersion": 2, "manifests": [descriptor(
    "manifest.v1+json", manifest, annotations={"io.containerd.image.name": name})]}).encode()
with tarfile.open(out, "w") as t:
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": index}
    files.update({"blobs/sha256/" + digest(b)[7:]: b for b in (layer, config, manifest)})
    for path, blob in files.items():
        info = tarfile.TarInfo(path)
        info.size = len(blob)
        t.addfile(info, io.BytesIO(blob))
