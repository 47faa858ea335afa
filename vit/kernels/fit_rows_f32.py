import numpy as np
from scipy.special import erfcx
from scipy.optimize import linprog
def minimax(f, basis, xs, rel=True):
    # minimise max |sum c_i b_i(x) - f(x)|/|f(x)| by LP
    y=f(xs); B=np.stack([b(xs) for b in basis],1)
    W=1/np.abs(y) if rel else np.ones_like(y)
    A=np.concatenate([np.c_[B*W[:,None],-np.ones(len(xs))],np.c_[-B*W[:,None],-np.ones(len(xs))]])
    b=np.concatenate([y*W,-y*W])
    r=linprog(np.r_[np.zeros(len(basis)),1],A_ub=A*1.0,b_ub=b,bounds=[(None,None)]*len(basis)+[(0,None)],method='highs')
    return r.x[:-1],r.x[-1]
# exp on [-ln2/2, ln2/2], first two coeffs fixed at 1
n=np.cos(np.linspace(0,np.pi,400))
h=np.log(2)/2*1.0001
xs=n*h
for deg in (5,6):
    f=lambda x:(np.exp(x)-1-x)/x**2
    x2=xs[np.abs(xs)>1e-3]
    c=np.polynomial.chebyshev.Chebyshev.interpolate(lambda t:np.where(np.abs(t)<1e-4,0.5+t/6+t*t/24,(np.exp(t)-1-t)/np.where(t==0,1,t)**2),deg-2,domain=[-h,h]).convert(kind=np.polynomial.Polynomial).coef
    p=lambda x:1+x+x*x*np.polynomial.polynomial.polyval(x,c.astype(np.float32))
    g=np.linspace(-h,h,100001)
    print('exp deg',deg,np.max(np.abs(p(g)/np.exp(g)-1)),[f'{np.float32(v):.9g}f' for v in c])
# h(a)*exp(a^2/2)=0.5 erfcx(a/sqrt2), poly in t=1/(1+c a)
best=None
for deg in (7,8,9,10):
    for c in np.arange(0.2,0.6,0.02):
        tmin=1/(1+c*14.5)
        t=(1+tmin)/2+(1-tmin)/2*np.cos(np.linspace(0,np.pi,600))
        F=lambda t:0.5*erfcx(((1/t)-1)/c/np.sqrt(2))
        co=np.polynomial.chebyshev.Chebyshev.interpolate(lambda t:F(t)/t,deg-1,domain=[tmin,1]).convert(kind=np.polynomial.Polynomial).coef
        tt=np.linspace(tmin,1,20001)
        e=np.max(np.abs(tt*np.polynomial.polynomial.polyval(tt,co)/F(tt)-1))
        if best is None or best[0]!=deg or e<best[1]:
            if best is not None and best[0]==deg or True:
                best=(deg,e,c,co) if best is None or best[0]!=deg or e<best[1] else best
    print(best[0],best[1],best[2],[f'{np.float32(v):.9g}f' for v in best[3]], 'sum|c|',np.abs(best[3]).sum())
