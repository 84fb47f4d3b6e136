"""Check that compose.yaml is what the compose specification describes, with its variables as they are by default."""

import re
import sys
from pathlib import Path

from compose_spec import PyCompose

text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", Path(sys.argv[1]).read_text(encoding="utf-8"))
compose = PyCompose.from_yaml(text)
compose.validate()
compose.to_spec()
print(f"{sys.argv[1]}: {', '.join(compose.service_names())}")
