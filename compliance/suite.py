"""Lists the cases of the Autobahn test suite, or runs its ``wstest``. This file is for Python 2.7.

    python2.7 suite.py FOLDER                   prints the name of every case
    python2.7 suite.py FOLDER --mode MODE ...   is wstest with these options

FOLDER is where pip has put the suite.
"""

import site
import sys

# In place of this file's own folder, and before what else this Python has. The .pth file in it
# makes the namespace `zope`.
folder = sys.path[0] = sys.argv.pop(1)
site.addsitedir(folder)

from autobahntestsuite import case, caseset, wstest  # noqa: E402 - the path had to come first

if len(sys.argv) > 1:
    wstest.run()
else:
    cases = caseset.CaseSet("", case.CaseBasename, case.Cases, {}, {})
    for each in case.Cases:
        sys.stdout.write(cases.caseClasstoId(each) + "\n")
